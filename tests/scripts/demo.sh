#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds and runs the demonstration; arguments go to `strictsend demo`.
set -euo pipefail
. tests/scripts/lib.sh
[ "$(id -u)" = 0 ] || die "the demo makes a network namespace and attaches XDP: run it as root"
ensure_packages "${packages_demo[@]}"
configure build
ninja -C build --quiet
exec build/apps/strictsend demo "$@"
