#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds and runs the long tests: in virtual time, then on a veth pair in real time.
set -euo pipefail
. tests/scripts/lib.sh

usage() {
  cat <<'HELP'
usage: ./dev soak [sim|veth] [--seeds N] [--minutes N]

Load of every kind for a long time: memory must stay flat and everything must balance in the end.
Without an argument both, in some 15 minutes. Root only.

  sim   30 virtual minutes for each seed on the simulated NIC: peers come and go, some of them badly,
        over a bad path, while files are written; every byte sent is compared
          --seeds N     how many (default 3)
  veth  `strictsend serve` on a veth pair in real time: downloads of small and large files and of
        one that is larger than the cache, ranges, slow readers, readers that give up, PUT, garbage;
        every answer is compared
          --minutes N   for how long (default 10)

The exit status is 0 if all was well. Ctrl-C ends it; servers, interfaces and files are taken away.
HELP
}

what=all seeds=3 minutes=10
while [ $# -gt 0 ]; do
  case "$1" in
    sim | veth) what=$1 ;;
    --seeds | --minutes)
      [[ "${2:-}" =~ ^[1-9][0-9]{0,3}$ ]] || die "$1 needs a number from 1 to 9999"
      if [ "$1" = --seeds ]; then seeds=$2; else minutes=$2; fi
      shift
      ;;
    help | -h | --help) usage && exit ;;
    *) usage >&2 && exit 2 ;;
  esac
  shift
done

[ "$(id -u)" = 0 ] || die "the soak makes a network namespace and attaches XDP: run it as root"
ensure_packages "${packages_soak[@]}"
configure build
targets=()
[ "$what" = veth ] || targets+=(tests/sim/soak_sim_test)
[ "$what" = sim ] || targets+=(apps/strictsend)
ninja -C build --quiet "${targets[@]}"

status=0
if [ "$what" != veth ]; then
  STRICTSEND_SOAK_SEEDS=$seeds build/tests/sim/soak_sim_test --gtest_brief=1 || status=1
fi
if [ "$what" != sim ]; then
  python3 tests/scripts/soak.py --program build/apps/strictsend --minutes "$minutes" || status=$?
fi
exit "$status"
