#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every installed header compiles alone, with nothing but the installed headers beside it, strictly,
# with both compilers.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."
include=engine/include
count=0
for header in "$include"/strictsend/*.hpp; do
  for compiler in g++ clang++-14; do
    printf '#include <%s>\n#include <%s>\n' "${header#"$include"/}" "${header#"$include"/}" |
      "$compiler" -std=c++20 -fsyntax-only -Wall -Wextra -Wpedantic -Werror -I "$include" -x c++ -
    count=$((count + 1))
  done
done
[ "$count" -gt 0 ] || { echo "no header found in $include/strictsend"; exit 1; }
echo "$count compilations went well"
