#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_installed.sh BUILD: installs everything into an empty folder; looks whether the program and what
# belongs to it are there and fit together; builds the examples against the library outside the tree,
# knowing only pkg-config, and runs them.
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

# The program, and what it is run by.
prefix=$(dirname "$(dirname "$(find "$work/root" -path '*/bin/strictsend')")")
etc=$(dirname "$(find "$work/root" -name serve.conf)")
units=$(dirname "$(find "$work/root" -name strictsend.service)")
for file in "$prefix"/lib/sysusers.d/strictsend.conf "$prefix"/lib/tmpfiles.d/strictsend.conf \
  "$prefix"/share/doc/strictsend/{README.md,ARCHITECTURE.md,CHANGELOG.md,docs/operations.md,docs/service.md,docs/http.md} \
  "$units"/strictsend@.service; do
  [ -f "$file" ] || { echo "${file#"$work/root"} was not installed"; exit 1; }
done
if [ -f "$build"/apps/man/strictsend.1 ]; then
  for page in strictsend strictsend-serve strictsend-top strictsend-doctor strictsend-conformance strictsend-demo; do
    [ -f "$prefix/share/man/man1/$page.1" ] || { echo "the page $page(1) was not installed"; exit 1; }
  done
fi
program=$prefix/bin/strictsend
expect 0 "strictsend " "$program" --version
# The example is understood, and lacks the interface alone.
expect 2 "--nic is missing" "$program" serve --config "$etc/serve.conf" --print-config
expect 0 "user = strictsend" "$program" serve --config "$etc/serve.conf" --nic af_xdp:eth0 --print-config

# The units, with the paths of this installation; verify wants all that they name to exist.
cp -r "$units" "$work/units"
for unit in strictsend.service strictsend@.service; do
  sed -i "s|^ExecStart=[^ ]*|ExecStart=$program|; s|^Documentation=.*||" "$work/units/$unit"
  grep -q "^ExecStart=$program serve --config /.*\.conf$" "$work/units/$unit"
done
cp "$work/units/strictsend@.service" "$work/units/strictsend@eth0.service"
for unit in strictsend.service strictsend@eth0.service; do
  verdict=$(SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no --recursive-errors=no "$work/units/$unit" 2>&1) ||
    verdict="$verdict (status $?)"
  [ -z "$verdict" ] || { echo "systemd-analyze verify $unit: $verdict"; exit 1; }
done
echo "the program is installed with its pages, configuration and units"
