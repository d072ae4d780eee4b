#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_exports.sh LIBRARY: the shared library exports the public classes and nothing else.
set -euo pipefail
symbols=$(nm --dynamic --defined-only --demangle "$1")
public='^[0-9a-f]+ [A-Z] (strictsend::(to_string|to_url_host|parse_ip_address|probe_[a-z_]+)(\[abi:cxx11\])?\(.*|((vtable|typeinfo|typeinfo name) for )?strictsend::(Engine|File|Snapshot|Error)(::[~=A-Za-z_]+(\[abi:cxx11\])?\(.*)?)$'
count=$(grep -cE "$public" <<<"$symbols" || true)
[ "$count" -gt 0 ] || { echo "the public API is not exported"; exit 1; }
if foreign=$(grep -vE "$public" <<<"$symbols"); then
  printf 'exported, and should not be:\n%s\n' "$foreign"
  exit 1
fi
echo "$count functions of the public API are exported, and nothing else"
