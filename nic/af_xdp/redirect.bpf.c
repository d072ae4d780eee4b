// SPDX-License-Identifier: Apache-2.0
// The XDP program: gives the engine's TCP flows, over IPv4 and IPv6 and with one 802.1Q tag or
// none, to its AF_XDP socket, and the routers' "packet too big" about them. It leaves everything
// else (ARP, neighbour discovery, ping, ssh, other VLANs, fragments, IPv6 with extension headers
// before TCP's) to the kernel, so that the interface keeps working.
//
// Its maps are filled by user space (program.cpp) before and while it runs.
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/// An end that the engine serves. user space has the same structure (program.cpp: FlowKey).
struct flow_key {
  __u8 address[16];  ///< network order; an IPv4 address in the first four, zeros behind it
  __u16 tcp_port;    ///< network order
  __u16 vlan_id;     ///< host order; 0: no tag
  __u32 is_ipv6;
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

/// IEEE 802.1Q-2018 §9.6, behind the addresses and 0x8100.
struct vlan_tag {
  __be16 control;
  __be16 type;
};

/// RFC 792, RFC 4443 §2.1; what stands behind the checksum depends on the type. (The kernel's
/// headers for it want a C library.)
struct icmp_header {
  __u8 type;
  __u8 code;
  __be16 checksum;
  __be32 rest;
};

/// The 64 bits of a TCP header that every ICMP error quotes (RFC 792).
struct quoted_tcp {
  __be16 source;
  __be16 dest;
  __be32 seq;
};

/// RFC 791 §3.1: the more-fragments flag and a fragment offset.
#define IPV4_FRAGMENT 0x3fff
#define IPV4_FRAGMENT_OFFSET 0x1fff
/// RFC 792 and RFC 1191 §4; RFC 4443 §3.2.
#define UNREACHABLE 3
#define FRAGMENTATION_NEEDED 4
#define ICMPV6_TOO_BIG 2

static __always_inline void put_ipv4(struct flow_key* key, __be32 address) {
  __builtin_memcpy(key->address, &address, sizeof address);
}

static __always_inline void put_ipv6(struct flow_key* key, const struct in6_addr* address) {
  __builtin_memcpy(key->address, address, sizeof *address);
  key->is_ipv6 = 1;
}

/// By words: a call of memcmp is what the compiler makes of it otherwise, and there is none.
static __always_inline int is_same(const struct in6_addr* a, const struct in6_addr* b) {
  const __u32* x = a->in6_u.u6_addr32;
  const __u32* y = b->in6_u.u6_addr32;
  return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3];
}

/// Whether this is "fragmentation needed" about a segment that was sent from the error's
/// destination; then `key` is that end.
static __always_inline int is_ipv4_too_big(struct iphdr* ip, void* end, struct flow_key* key) {
  struct icmp_header* icmp = (void*)ip + ip->ihl * 4;
  if ((void*)(icmp + 1) > end) return 0;
  if (icmp->type != UNREACHABLE || icmp->code != FRAGMENTATION_NEEDED) return 0;

  struct iphdr* quoted = (void*)(icmp + 1);
  if ((void*)(quoted + 1) > end || quoted->version != 4 || quoted->ihl < 5) return 0;
  if (quoted->protocol != IPPROTO_TCP || quoted->saddr != ip->daddr) return 0;
  if ((quoted->frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET)) != 0) return 0;

  struct quoted_tcp* tcp = (void*)quoted + quoted->ihl * 4;
  if ((void*)(tcp + 1) > end) return 0;
  put_ipv4(key, quoted->saddr);
  key->tcp_port = tcp->source;
  return 1;
}

/// The same for ICMPv6's "packet too big".
static __always_inline int is_ipv6_too_big(struct ipv6hdr* ip, void* end, struct flow_key* key) {
  struct icmp_header* icmp = (void*)(ip + 1);
  if ((void*)(icmp + 1) > end || icmp->type != ICMPV6_TOO_BIG) return 0;

  struct ipv6hdr* quoted = (void*)(icmp + 1);
  struct quoted_tcp* tcp = (void*)(quoted + 1);
  if ((void*)(tcp + 1) > end || quoted->version != 6) return 0;
  if (quoted->nexthdr != IPPROTO_TCP || !is_same(&quoted->saddr, &ip->daddr)) return 0;
  put_ipv6(key, &quoted->saddr);
  key->tcp_port = tcp->source;
  return 1;
}

static __always_inline int is_ipv4_flow(struct iphdr* ip, void* end, struct flow_key* key) {
  if ((void*)(ip + 1) > end || ip->version != 4 || ip->ihl < 5) return 0;
  // Reassembly is the kernel's.
  if ((ip->frag_off & bpf_htons(IPV4_FRAGMENT)) != 0) return 0;
  if (ip->protocol == IPPROTO_ICMP) return is_ipv4_too_big(ip, end, key);
  if (ip->protocol != IPPROTO_TCP) return 0;

  struct tcphdr* tcp = (void*)ip + ip->ihl * 4;
  if ((void*)(tcp + 1) > end) return 0;
  put_ipv4(key, ip->daddr);
  key->tcp_port = tcp->dest;
  return 1;
}

static __always_inline int is_ipv6_flow(struct ipv6hdr* ip, void* end, struct flow_key* key) {
  if ((void*)(ip + 1) > end || ip->version != 6) return 0;
  if (ip->nexthdr == IPPROTO_ICMPV6) return is_ipv6_too_big(ip, end, key);
  if (ip->nexthdr != IPPROTO_TCP) return 0;

  struct tcphdr* tcp = (void*)(ip + 1);
  if ((void*)(tcp + 1) > end) return 0;
  put_ipv6(key, &ip->daddr);
  key->tcp_port = tcp->dest;
  return 1;
}

SEC("xdp")
int strictsend_xdp(struct xdp_md* context) {
  void* data = (void*)(long)context->data;
  void* end = (void*)(long)context->data_end;

  struct ethhdr* ethernet = data;
  if ((void*)(ethernet + 1) > end) return XDP_PASS;
  __be16 type = ethernet->h_proto;
  void* packet = ethernet + 1;
  struct flow_key key = {};
  if (type == bpf_htons(ETH_P_8021Q)) {
    struct vlan_tag* tag = packet;
    if ((void*)(tag + 1) > end) return XDP_PASS;
    // A tag of priority alone, with the identifier 0, is none.
    key.vlan_id = bpf_ntohs(tag->control) & 0x0fff;
    type = tag->type;
    packet = tag + 1;
  }

  int found = 0;
  if (type == bpf_htons(ETH_P_IP))
    found = is_ipv4_flow(packet, end, &key);
  else if (type == bpf_htons(ETH_P_IPV6))
    found = is_ipv6_flow(packet, end, &key);
  if (!found || !bpf_map_lookup_elem(&flows, &key)) return XDP_PASS;

  // The last argument is what to return when the queue has no socket (Linux ≥ 5.3).
  return bpf_redirect_map(&sockets, context->rx_queue_index, XDP_PASS);
}

// None of the helpers used here is reserved for GPL programs (gpl_only in their bpf_func_proto).
char _license[] SEC("license") = "Apache-2.0";
