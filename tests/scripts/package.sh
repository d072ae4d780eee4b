#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the Debian packages into build-package/. With --check, looks at them with lintian and tries them:
# package_check.sh.
set -euo pipefail
. tests/scripts/lib.sh

check=no
for argument in "$@"; do
  case "$argument" in
    --check) check=yes ;;
    *) die "package takes --check alone" ;;
  esac
done
ensure_packages "${packages_package[@]}"

# A copy of what git knows, as it is in the work tree: debhelper writes into the tree that it builds.
version=$(dpkg-parsechangelog --show-field Version)
tree=build-package/strictsend-$version
rm -rf "$tree" build-package/*.deb
mkdir -p "$tree"
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
  [ ! -e "$file" ] || printf '%s\0' "$file"
done | tar --null --files-from=- --create | tar --extract --directory "$tree"
# debhelper gives the build a home of its own.
CCACHE_DIR=$(ccache --get-config cache_dir)
export CCACHE_DIR
say "building; what the compiler says goes to build-package/build.log"
if ! (cd "$tree" && dpkg-buildpackage --build=binary --no-sign) >build-package/build.log 2>&1; then
  tail -n 40 build-package/build.log >&2
  die "dpkg-buildpackage failed (above, and build-package/build.log)"
fi
ls build-package/*.deb
[ "$check" = no ] || exec tests/scripts/package_check.sh build-package
