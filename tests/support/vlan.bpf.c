// SPDX-License-Identifier: Apache-2.0
// Two tc classifiers that put a peer's end of a cable into VLAN 5, as a VLAN device on it would:
// what leaves is tagged, and the tag of what arrives is taken away. Attached by tc(8).
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define VLAN_ID 5

/// The tag goes into the sk_buff's own field, beside the frame, as VLAN devices do it.
SEC("tc/tag")
int tag(struct __sk_buff* packet) {
  return bpf_skb_vlan_push(packet, bpf_htons(ETH_P_8021Q), VLAN_ID) == 0 ? TC_ACT_OK : TC_ACT_SHOT;
}

SEC("tc/untag")
int untag(struct __sk_buff* packet) {
  if (!packet->vlan_present) return TC_ACT_OK;
  if ((packet->vlan_tci & 0x0fff) != VLAN_ID) return TC_ACT_SHOT;
  return bpf_skb_vlan_pop(packet) == 0 ? TC_ACT_OK : TC_ACT_SHOT;
}

char _license[] SEC("license") = "Dual MIT/GPL";
