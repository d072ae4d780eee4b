#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_installed.sh BUILD: installs the library into an empty folder, builds the examples against it
# outside the tree, knowing only pkg-config, and runs them.
set -euo pipefail
build=$(readlink -f "$1")
source=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../..
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$source/tests/scripts/build_examples.sh" "$build" "$work" "$source"/examples/*.cpp
cd "$work"
export LD_LIBRARY_PATH="$work/lib"
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
