#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds fully optimised and runs the measurements, one after the other.
set -euo pipefail
. tests/scripts/lib.sh
[ "$(id -u)" = 0 ] || die "the benchmark makes network namespaces and attaches XDP: run it as root"
ensure_packages "${packages_bench[@]}"
configure build-release -Dbuildtype=release -Dbenchmarks=true
ninja -C build-release --quiet tests/bench/segment_bench tests/bench/af_xdp_udp_bench
build-release/tests/bench/segment_bench
echo
build-release/tests/bench/af_xdp_udp_bench
