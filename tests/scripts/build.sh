#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds into build/; arguments are ninja's (targets, -v, -j …).
set -euo pipefail
. tests/scripts/lib.sh
ensure_packages "${packages_build[@]}"
configure build
exec ninja -C build "$@"
