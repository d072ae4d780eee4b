#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds fully optimised and runs the measurements; arguments go to `strictsend bench`.
set -euo pipefail
. tests/scripts/lib.sh
[ "$(id -u)" = 0 ] || die "the benchmark makes network namespaces and attaches XDP: run it as root"
ensure_packages "${packages_bench[@]}"
configure build-release -Dbuildtype=release -Dbenchmarks=true -Dtests=false
ninja -C build-release --quiet
exec build-release/apps/strictsend bench "$@"
