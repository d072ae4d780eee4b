#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds fully optimised and runs the measurements, one after the other.
set -euo pipefail
. tests/scripts/lib.sh

usage() {
  cat <<'HELP'
usage: ./dev bench [segment|nic|forms|queues|preserve|goodput|small|disk|transport [OPTIONS]]

Measures a release build; without an argument everything but transport, in some 15 minutes. Root
only. Other load on the machine disturbs every number; the ratios within one table are what to look
at.

  segment   what the whole engine costs per segment and per 64 KiB, on a port that discards, with
            and without segmentation offload, and from 1 connection to 10,000
  nic       the same on DPDK's net_null, beside dpdk-testpmd on the same driver; with segmentation
            offload, and beside copying the payload, from hot and from cold memory
  forms     what the packet forms cost on AF_XDP over a veth pair
  queues    what a second NIC queue with its engine thread brings: the engine alone on a port that
            discards, and downloads over a veth pair set to one queue and to two
  preserve  how long a writer's store to a protected page takes, beside a bare userfaultfd fault
              --samples N        stores of each kind
  goodput   downloads of a cached file over a veth pair, strictsend beside nginx with and without
            sendfile, while 0, 1 and 10 % of the file's pages are rewritten per second
              --size SIZE        of the file (default 1G)
              --rounds N         of every kind of download (default 5)
              --directory DIR    where the file is made (default /dev/shm, a tmpfs)
              --help             further options
  small     requests for cached files of 1 to 64 KiB by wrk over a veth pair, strictsend beside nginx: per
            second of processor time, and latencies
              --rounds N         of each size (default 5)
              --help             further options
  disk      a file of four times the cache, sent once from the disk on a port that discards, beside fio
            reading it with the same direct reads
              --cache SIZE       (default 256M)
              --directory DIR    where the file is made (default /var/tmp)
              --help             further options
  transport downloads over paths that are slow, long, and lose or reorder packets: strictsend's TCP
            beside the kernel's; in some 20 minutes
              --congestion NAME  cubic, reno or bbr, of both (default cubic)
              --cells quick      six of the paths, in some five minutes
              --rounds N         of every download (default 5; with quick 3)

Ctrl-C ends it; interfaces, namespaces, servers and files are taken away first.
HELP
}

run() {
  case "$1" in
    segment) build-release/tests/bench/segment_bench ;;
    nic) build-release/tests/bench/nic_bench ;;
    forms) build-release/tests/bench/af_xdp_udp_bench ;;
    queues) build-release/tests/bench/queues_bench ;;
    preserve) shift && build-release/tests/bench/preserve_bench "$@" ;;
    goodput) shift && build-release/tests/bench/goodput_bench "$@" ;;
    small) shift && build-release/tests/bench/small_bench "$@" ;;
    disk) shift && build-release/tests/bench/disk_bench "$@" ;;
    transport) shift && build-release/tests/bench/transport_bench "$@" ;;
  esac
}

case "${1:-all}" in
  all) what=(segment nic forms queues preserve goodput small disk) ;;
  segment | nic | forms | queues) [ $# = 1 ] || die "$1 takes no further arguments; ./dev bench --help" ;;
  preserve | goodput | small | disk | transport) ;;
  help | -h | --help) usage && exit ;;
  *) usage >&2 && exit 2 ;;
esac

[ "$(id -u)" = 0 ] || die "the benchmark makes network namespaces and attaches XDP: run it as root"
ensure_packages "${packages_bench[@]}"
configure build-release -Dbuildtype=release -Dbenchmarks=true
ninja -C build-release --quiet apps/strictsend \
  tests/bench/{segment,nic,af_xdp_udp,queues,preserve,goodput,small,disk,transport}_bench

if [ $# -gt 0 ]; then
  run "$@"
  exit
fi
for each in "${what[@]}"; do
  [ "$each" = "${what[0]}" ] || echo
  run "$each"
done
