#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# build_examples.sh BUILD WORK SOURCE…: installs the library of BUILD under WORK/root and builds each
# source against that in WORK, outside the tree and knowing only pkg-config; WORK/lib leads to the library.
set -euo pipefail
build=$(readlink -f "$1") work=$(readlink -f "$2")
shift 2
meson install -C "$build" --no-rebuild --quiet --destdir "$work/root"
pc=$(find "$work/root" -name strictsend.pc)
[ -n "$pc" ] || { echo "strictsend.pc was not installed"; exit 1; }
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR="$work/root"
PKG_CONFIG_PATH=$(dirname "$pc")
ln -sfn "$(dirname "$(find "$work/root" -name libstrictsend.so)")" "$work/lib"

sources=()
for source in "$@"; do
  cp "$source" "$work"
  case "$source" in *.cpp) sources+=("$(basename "$source" .cpp)") ;; esac
done
cd "$work"
export flags
flags=$(pkg-config --cflags --libs strictsend)
# The flags are words on purpose.
# shellcheck disable=SC2016
printf '%s\n' "${sources[@]}" | xargs -P 2 -I NAME sh -c \
  'g++ -std=c++20 -Wall -Wextra -Wpedantic -Werror NAME.cpp -o NAME $flags -pthread || exit 255'
echo "built ${sources[*]} against $(pkg-config --modversion strictsend)"
