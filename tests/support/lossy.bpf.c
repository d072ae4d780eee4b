// SPDX-License-Identifier: Apache-2.0
// A tc classifier that loses one TCP packet in fifty, for tests of what a lossy path does. Attached
// by tc(8) to the peer's end; everything else passes.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int lose(struct __sk_buff* packet) {
  // Packet sockets leave headers in fragments, where nothing can be read directly.
  if (bpf_skb_pull_data(packet, sizeof(struct ethhdr) + sizeof(struct iphdr)) < 0) return TC_ACT_OK;
  void* data = (void*)(long)packet->data;
  void* end = (void*)(long)packet->data_end;
  struct ethhdr* ethernet = data;
  struct iphdr* ip = (void*)(ethernet + 1);
  if ((void*)(ip + 1) > end) return TC_ACT_OK;
  if (ethernet->h_proto != bpf_htons(ETH_P_IP) || ip->protocol != IPPROTO_TCP) return TC_ACT_OK;
  return bpf_get_prandom_u32() % 50 == 0 ? TC_ACT_SHOT : TC_ACT_OK;
}

char _license[] SEC("license") = "Dual MIT/GPL";
