#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Everything that any ./dev command needs, so that they work without a network afterwards.
set -euo pipefail
. tests/scripts/lib.sh
ensure_packages "${packages_test[@]}" "${packages_demo[@]}" "${packages_bench[@]}" "${packages_soak[@]}" \
  "${packages_package[@]}" "${packages_format[@]}" "${packages_lint[@]}"
configure build
say "everything is installed and build/ is configured"
