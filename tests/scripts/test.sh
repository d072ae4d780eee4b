#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what the tests need and hands over to the runner.
set -euo pipefail
. tests/scripts/lib.sh
ensure_packages "${packages_test[@]}"
exec python3 tests/scripts/run_tests.py "$@"
