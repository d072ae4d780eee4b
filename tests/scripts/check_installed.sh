#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_installed.sh BUILD: installs the library into an empty folder, builds the examples against it
# outside the tree, knowing only pkg-config, and runs them.
set -euo pipefail
build=$(readlink -f "$1")
source=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../..
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

meson install -C "$build" --no-rebuild --quiet --destdir "$work/root"
pc=$(find "$work/root" -name strictsend.pc)
[ -n "$pc" ] || { echo "strictsend.pc was not installed"; exit 1; }
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR="$work/root"
PKG_CONFIG_PATH=$(dirname "$pc")
library=$(dirname "$(find "$work/root" -name libstrictsend.so)")

cp "$source"/examples/*.cpp "$work"
cd "$work"
for example in *.cpp; do
  # The flags are words on purpose.
  # shellcheck disable=SC2046
  g++ -std=c++20 -Wall -Wextra -Wpedantic -Werror "$example" -o "${example%.cpp}" \
    $(pkg-config --cflags --libs strictsend)
  echo "built $example against $(pkg-config --modversion strictsend)"
done

export LD_LIBRARY_PATH="$library"
expect() { # expect EXIT_CODE TEXT COMMAND…: it ends so, and says so
  local code=$1 text=$2 said status=0
  shift 2
  said=$(timeout 60 "$@" 2>&1) || status=$?
  if [ "$status" != "$code" ] || [[ "$said" != *"$text"* ]]; then
    echo "'$*' ended with $status and said '$said'; expected $code and '$text'"
    exit 1
  fi
}
expect 2 "usage: send_file" ./send_file
expect 1 "nosuchnic0" ./send_file af_xdp:nosuchnic0 7000 send_file.cpp
expect 2 "usage: send_datagrams" ./send_datagrams
expect 1 "port" ./send_datagrams discard: 192.0.2.2 0 send_file.cpp
expect 0 "error 0" ./send_datagrams discard: 192.0.2.2 5000 send_file.cpp
echo "every example runs"
