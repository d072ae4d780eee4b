// SPDX-License-Identifier: Apache-2.0
// A tc classifier for a sender whose sockets get new hashes: from one moment to the next all that
// leaves goes to another transmit queue, and so arrives on another receive queue at the other end
// of a veth pair. Linux does it to a single socket after a retransmission time-out
// (sk_rethink_txhash).
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

SEC("tc")
int rehash(struct __sk_buff* packet) {
  // The queue is chosen by the hash's upper bits (reciprocal_scale): the first of two for 34 ms,
  // then the second one.
  bpf_set_hash(packet, (__u32)(bpf_ktime_get_ns() >> 25) << 31);
  return TC_ACT_UNSPEC;  // what else is attached decides
}

char _license[] SEC("license") = "Dual MIT/GPL";
