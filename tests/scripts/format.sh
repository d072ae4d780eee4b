#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Lays out every C and C++ file that git tracks; --check changes nothing and fails when one differs.
set -euo pipefail
. tests/scripts/lib.sh
ensure_packages "${packages_format[@]}"
mapfile -t files < <(git ls-files '*.cpp' '*.hpp' '*.c' '*.h')
case "${1:-}" in
  "") clang-format -i "${files[@]}" ;;
  --check)
    clang-format --dry-run --Werror "${files[@]}" 2>&1 | sed -n 's/^\([^:]*\):.*clang-format-violations.*/\1/p' |
      sort | uniq -c | { ! grep . || die "the files above are not laid out: run ./dev format"; }
    ;;
  *) die "usage: ./dev format [--check]" ;;
esac
