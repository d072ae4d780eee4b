# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034
# What the scripts behind ./dev share; sourced, never run. Everything here assumes the repository's
# root as working directory.

# Some root shells leave the sbin folders out, and bpftool, ethtool, nginx and ip live there.
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
# Meson asks for this when it configures: lld links in a third of the time.
export CC_LD=lld CXX_LD=lld

packages_build=(g++ clang-14 lld meson ninja-build pkg-config python3 ccache git
  linux-libc-dev libxdp-dev libbpf-dev bpftool libelf-dev libmnl-dev liburing-dev libpcap-dev libcap-dev
  libboost-dev libboost-program-options-dev libfmt-dev libspdlog-dev nlohmann-json3-dev
  libexpected-dev libgtest-dev libgmock-dev liblwip-dev libdpdk-dev)
# The guests' kernels, and a newer QEMU, are fetched apart and installed nowhere.
packages_vm=(qemu-system-x86 busybox-static kmod zstd binutils procps curl iproute2 iputils-ping tshark)
packages_docs=(doxygen python3)
packages_test=("${packages_build[@]}" "${packages_docs[@]}" libclang-rt-14-dev util-linux mandoc man-db systemd
  wget wrk ethtool nginx dpdk-dev python3-prometheus-client "${packages_vm[@]}")
packages_demo=("${packages_build[@]}" curl iproute2 ethtool procps)
packages_bench=("${packages_build[@]}" libbenchmark-dev curl iproute2 ethtool procps util-linux nginx
  dpdk-dev fio wrk)
packages_soak=("${packages_build[@]}" curl iproute2 util-linux)
packages_package=("${packages_build[@]}" debhelper dpkg-dev fakeroot systemd lintian mmdebstrap curl iproute2)
packages_format=(clang-format git)
packages_lint=("${packages_build[@]}" clang-tidy)

say() { printf 'dev: %s\n' "$*" >&2; }
die() {
  say "$*"
  exit 1
}

# Prints those of its arguments that are not installed, one a line.
missing_packages() {
  local package
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
      echo "$package"
  done
}

# Makes sure that the packages are installed. Says nothing and needs no rights when they are.
ensure_packages() {
  command -v dpkg-query >/dev/null ||
    die "this is not Debian: install the counterparts of these Debian 12 packages by hand: $*"
  local missing
  mapfile -t missing < <(missing_packages "$@" | sort -u)
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] ||
    die "packages are missing; run as root: apt-get install ${missing[*]}"
  say "installing ${missing[*]}"

  # A package that brings a service (nginx) must not leave it running or start it at boot.
  local policy=/usr/sbin/policy-rc.d own_policy=no
  if [ ! -e "$policy" ]; then
    own_policy=yes
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
  fi
  local log status=0
  log=$(mktemp)
  # tshark asks whether other users may capture; the answer stays the default, no.
  { apt-get update -qq &&
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } \
    >"$log" 2>&1 </dev/null || status=$?
  [ "$own_policy" = no ] || rm -f "$policy"
  if [ "$status" != 0 ]; then
    tail -n 20 "$log" >&2
    rm -f "$log"
    die "apt-get failed (above); these packages are still missing: $(missing_packages "${missing[@]}" | tr '\n' ' ')"
  fi
  rm -f "$log"
  if [[ " ${missing[*]} " == *" nginx "* ]] && [ -d /run/systemd/system ]; then
    systemctl disable --quiet nginx.service
  fi
}

# configure DIRECTORY [MESON OPTION…]: once; later changes of meson.build are ninja's business.
configure() {
  local directory=$1
  shift
  [ -f "$directory/build.ninja" ] && return 0
  local log="$directory.configure.log"
  if ! meson setup "$directory" "$@" >"$log" 2>&1; then
    cat "$log" >&2
    rm -rf "$log" "$directory"
    die "meson could not configure $directory (above)"
  fi
  rm -f "$log"
}
