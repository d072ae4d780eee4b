// SPDX-License-Identifier: Apache-2.0
// tc classifiers that do to packets what paths do, for tests; attached by tc(8) to the ingress of
// the peer's end, each by the name of its section.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

static __always_inline int drop_above(struct __sk_buff* packet, __u32 ip_bytes_max) {
  if (packet->protocol != bpf_htons(ETH_P_IP)) return TC_ACT_OK;
  return packet->len > ip_bytes_max + ETH_HLEN ? TC_ACT_SHOT : TC_ACT_OK;
}

/// Black holes: a router that drops what is too large for its next link, and whose message about
/// that nobody gets (RFC 2923 §2.1).
SEC("hole_1280")
int drop_above_1280(struct __sk_buff* packet) {
  return drop_above(packet, 1280);
}

SEC("hole_700")
int drop_above_700(struct __sk_buff* packet) {
  return drop_above(packet, 700);
}

/// One packet in ten comes twice.
SEC("twice")
int send_twice(struct __sk_buff* packet) {
  const __u32 is_copy = 0x7473;
  if (packet->mark == is_copy) {
    packet->mark = 0;
    return TC_ACT_OK;
  }
  if (packet->protocol != bpf_htons(ETH_P_IP) || bpf_get_prandom_u32() % 10 != 0) return TC_ACT_OK;
  packet->mark = is_copy;  // or the copy, which comes here too, would be copied
  bpf_clone_redirect(packet, packet->ifindex, BPF_F_INGRESS);
  packet->mark = 0;
  return TC_ACT_OK;
}

char _license[] SEC("license") = "Dual MIT/GPL";
