#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# package_check.sh FOLDER: what lintian says of the packages there; then apt installs them into an empty
# Debian 12, where the program runs and serves a file over a veth pair as its own user, and purges them.
# Needs root and Debian's mirror.
set -euo pipefail
. tests/scripts/lib.sh
[ "$(id -u)" = 0 ] || die "package --check needs root"

folder=$(readlink -f "$1")
scripts=$(readlink -f tests/scripts)
lintian --allow-root --fail-on error --tag-display-limit 0 "$folder"/*.changes >"$folder/lintian.log" 2>&1 || {
  cat "$folder/lintian.log"
  die "lintian finds errors (above)"
}
say "lintian finds no errors, and $(grep -c '^W:' "$folder/lintian.log" || true) warnings"

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
root=$work/root
sources=(/etc/apt/sources.list.d/*.sources)
[ -e "${sources[0]}" ] || sources=(/etc/apt/sources.list)
say "making an empty Debian 12"
mmdebstrap --quiet --mode=root --variant=minbase bookworm "$root" "${sources[@]}" >"$folder/mmdebstrap.log" 2>&1 ||
  { tail -n 20 "$folder/mmdebstrap.log" >&2; die "mmdebstrap failed (above)"; }
mkdir "$root/packages"
for package in "$folder"/*.deb; do
  [[ "$package" == *-dbgsym_* ]] || cp "$package" "$root/packages"
done

# Mounts and interfaces of its own, gone with the last process in it; apt still reaches the mirror through
# a process outside of the network namespace, so installing stands apart from serving.
unshare --mount "$scripts/package_in_root.sh" install "$root"
unshare --mount --net "$scripts/package_in_root.sh" serve "$root"
unshare --mount "$scripts/package_in_root.sh" purge "$root"
say "the packages install, serve and purge"
