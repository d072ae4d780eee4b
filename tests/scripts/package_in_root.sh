#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# package_in_root.sh install|serve|purge ROOT: one step of package_check.sh, in a mount namespace of its own.
# What stands in single quotes is for dpkg-query and the shell inside.
# shellcheck disable=SC2016
set -euo pipefail
step=$1
root=$2
fail() {
  echo "package_check: $*" >&2
  exit 1
}
into=(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 chroot "$root")
inside() { "${into[@]}" "$@"; }
packages=(strictsend libstrictsend0 libstrictsend-dev)
mount --make-rprivate /
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"

install_packages() {
  cp /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
  inside apt-get -qq update
  # By names without a directory, apt would look for them in the archive.
  inside sh -c 'apt-get install -y -qq --no-install-recommends /packages/*.deb' >/dev/null 2>"$root/packages/apt.log" ||
    { cat "$root/packages/apt.log"; fail "apt-get install failed"; }
  for package in "${packages[@]}"; do
    [ "$(inside dpkg-query -W -f '${Status}' "$package")" = "install ok installed" ] || fail "$package is not installed"
    inside dpkg -L "$package"
  done | sort -u >"$root/packages/files"
  inside strictsend --version
  inside strictsend serve --help | grep '^CONFIGURATION FILE$' >/dev/null || fail "serve --help has no configuration file"
  inside strictsend doctor --help >/dev/null
  [ "$(inside getent passwd strictsend | cut -d: -f7)" = /usr/sbin/nologin ] || fail "there is no user strictsend"
  [ "$(inside stat -c '%U:%G %a' /var/log/strictsend)" = "strictsend:adm 750" ] || fail "/var/log/strictsend is not his"
  inside dpkg-query -W -f '${Conffiles}' strictsend | grep /etc/strictsend/serve.conf >/dev/null || fail "serve.conf is no conffile"
  [ -z "$(find "$root/etc/systemd/system" -name '*strictsend*' 2>/dev/null)" ] || fail "the service is enabled"
  ! inside ldd /usr/bin/strictsend | grep "not found" || fail "libraries are missing"
}

serve() {
  mkdir -p "$root/srv/strictsend"
  head -c 20000000 /dev/urandom >"$root/srv/strictsend/file"
  ip link set lo up
  unshare --net sleep 120 &
  local peer=$!
  until [ "$(readlink /proc/$peer/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.1; done
  ip link add near type veth peer name far netns "$peer"
  ip addr add 192.0.2.1/24 dev near
  ip link set near up
  nsenter -t "$peer" -n ip addr add 192.0.2.2/24 dev far
  nsenter -t "$peer" -n ip link set far up

  sed -i 's/^# nic = .*/nic = af_xdp:near/; s/^# cache = .*/cache = 128M/; s/^# access-log/access-log/' \
    "$root/etc/strictsend/serve.conf"
  # Not by the function: the process is to be the server itself.
  "${into[@]}" strictsend serve --config /etc/strictsend/serve.conf >"$root/packages/serve.log" 2>&1 &
  local server=$!
  for ((i = 0; i < 300; i++)); do
    grep -q "serving http" "$root/packages/serve.log" && break
    sleep 0.1
  done
  [ "$(awk '/^Uid:/ {print $2}' "/proc/$server/status")" = "$(inside id -u strictsend)" ] ||
    { cat "$root/packages/serve.log"; fail "the server does not run as strictsend"; }
  nsenter -t "$peer" -n curl -sS --max-time 60 http://192.0.2.1/file | cmp - "$root/srv/strictsend/file" ||
    { cat "$root/packages/serve.log"; fail "the download differs"; }
  kill -TERM "$server"
  wait "$server" || { cat "$root/packages/serve.log"; fail "the server did not end well"; }
  grep -q '"GET /file HTTP/1.1" 200' "$root/var/log/strictsend/access.log" || fail "there is no line in the access log"
  ! ip link show near | grep prog/xdp >/dev/null || fail "the XDP program is still on the interface"
  kill "$peer"
  rm -r "$root/srv/strictsend"
}

purge_packages() {
  inside apt-get purge -y -qq "${packages[@]}" >/dev/null 2>"$root/packages/apt.log" ||
    { cat "$root/packages/apt.log"; fail "apt-get purge failed"; }
  local left
  # Folders may be other packages' too; /. is everybody's.
  left=$(inside sh -c 'while read -r name; do
      if [ "$name" = /. ]; then continue
      elif [ -d "$name" ]; then dpkg -S "$name" >/dev/null 2>&1 || echo "$name"
      elif [ -e "$name" ] || [ -L "$name" ]; then echo "$name"; fi; done </packages/files')
  left+=$(find "$root" -xdev -name '*strictsend*' -not -path "$root/packages/*")
  [ -z "$left" ] || fail "purged, and still there: $left"
  ! inside dpkg -l | grep strictsend || fail "dpkg still knows of them"
}

case "$step" in
  install) install_packages ;;
  serve) serve ;;
  purge) purge_packages ;;
  *) fail "no such step: $step" ;;
esac
