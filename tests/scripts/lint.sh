#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# clang-tidy over the given source files, over all of them, or (--changed [REF]) over those that
# differ from REF (default: main). Headers are checked through the sources that include them.
set -euo pipefail
. tests/scripts/lib.sh
ensure_packages "${packages_lint[@]}"
configure build
ninja -C build --quiet  # generated headers have to exist
if [ "${1:-}" = --changed ]; then
  mapfile -t files < <({ git diff --name-only --diff-filter=d "${2:-main}" -- '*.cpp'
    git ls-files --others --exclude-standard -- '*.cpp'; } | sort -u)
elif [ $# -gt 0 ]; then
  files=("$@")
else
  mapfile -t files < <(git ls-files '*.cpp')
fi
# Only what build/ compiles has a command line: a test of another configuration, an example has none.
mapfile -t known < <(python3 -c '
import json, os, sys
known = {os.path.normpath(os.path.join(c["directory"], c["file"])) for c in json.load(open("build/compile_commands.json"))}
print(*[f for f in sys.argv[1:] if os.path.abspath(f) in known], sep="\n")' "${files[@]}" | sed '/^$/d')
[ ${#known[@]} -gt 0 ] || { say "nothing to lint"; exit 0; }
printf '%s\n' "${known[@]}" | xargs -P "$(nproc)" -n 1 clang-tidy -p build --quiet
say "${#known[@]} files are clean"
