// SPDX-License-Identifier: Apache-2.0
// The XDP program: gives the engine's TCP flows to its AF_XDP socket and leaves everything else
// (ARP, ping, ssh, IPv6, VLANs, fragments) to the kernel, so that the interface keeps working.
//
// Its maps are filled by user space (program.cpp) before and while it runs.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/// A destination that the engine serves; both fields in network order. user space has the same
/// structure (program.cpp: FlowKey).
struct flow_key {
  __u32 ipv4_address;
  __u16 tcp_port;
  __u16 padding;
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 64);
  __type(key, struct flow_key);
  __type(value, __u8);
} flows SEC(".maps");

/// Receive queue → socket. The kernel empties an entry when its socket is closed, also when the
/// process was killed; from then on the queue's packets pass.
struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, 256);
  __type(key, __u32);
  __type(value, __u32);
} sockets SEC(".maps");

SEC("xdp")
int strictsend_xdp(struct xdp_md* context) {
  void* data = (void*)(long)context->data;
  void* end = (void*)(long)context->data_end;

  struct ethhdr* ethernet = data;
  if ((void*)(ethernet + 1) > end || ethernet->h_proto != bpf_htons(ETH_P_IP)) return XDP_PASS;

  struct iphdr* ip = (void*)(ethernet + 1);
  if ((void*)(ip + 1) > end || ip->version != 4 || ip->ihl < 5) return XDP_PASS;
  // More-fragments flag or a fragment offset (RFC 791 §3.1): reassembly is the kernel's.
  if (ip->protocol != IPPROTO_TCP || (ip->frag_off & bpf_htons(0x3fff)) != 0) return XDP_PASS;

  struct tcphdr* tcp = (void*)ip + ip->ihl * 4;
  if ((void*)(tcp + 1) > end) return XDP_PASS;

  struct flow_key key = {.ipv4_address = ip->daddr, .tcp_port = tcp->dest};
  if (!bpf_map_lookup_elem(&flows, &key)) return XDP_PASS;

  // The last argument is what to return when the queue has no socket (Linux ≥ 5.3).
  return bpf_redirect_map(&sockets, context->rx_queue_index, XDP_PASS);
}

// None of the helpers used here is reserved for GPL programs (gpl_only in their bpf_func_proto).
char _license[] SEC("license") = "Apache-2.0";
