#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The reference of the installed headers, and the pages beside it, as HTML; a warning of Doxygen's is an error.
# --check throws the result away, and skips (77) where Doxygen is not installed.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."
. tests/scripts/lib.sh
export STRICTSEND_DOCS
case "${1:-}" in
  "")
    ensure_packages "${packages_docs[@]}"
    STRICTSEND_DOCS=$PWD/build-docs
    mkdir -p "$STRICTSEND_DOCS"
    ;;
  --check)
    command -v doxygen >/dev/null || { echo "doxygen is not installed (apt-get install doxygen)"; exit 77; }
    STRICTSEND_DOCS=$(mktemp -d)
    trap 'rm -rf "$STRICTSEND_DOCS"' EXIT
    ;;
  *) die "usage: ./dev docs" ;;
esac
doxygen docs/Doxyfile || die "the comments or pages above are not complete"
[ -f "$STRICTSEND_DOCS/html/index.html" ] || die "doxygen wrote nothing"
[ "${1:-}" = --check ] || say "the reference is in build-docs/html/index.html"
