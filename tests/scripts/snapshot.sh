#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes the snapshots anew that tests compare with, and shows what became of them.
set -euo pipefail
. tests/scripts/lib.sh

[ $# = 0 ] || die "snapshot takes no arguments"
ensure_packages "${packages_build[@]}"
configure build
ninja -C build --quiet tests/sim/goodput_matrix
build/tests/sim/goodput_matrix >tests/sim/goodput_matrix.snapshot.new
mv tests/sim/goodput_matrix.snapshot.new tests/sim/goodput_matrix.snapshot
if [ -t 1 ]; then git --no-pager diff --stat --patch -- tests/sim/goodput_matrix.snapshot; fi
