// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/endian.hpp"
#include "nic/port.hpp"
#include <strictsend/address.hpp>

namespace strictsend::wire {

// The headers as they stand on the wire: alignment 1, no padding, to be copied in and out of frames
// whole. Nobody outside nic/wire needs them; others use the packet views and header templates.

using strictsend::IpAddress;
using strictsend::Ipv4Address;
using strictsend::Ipv6Address;

/// IEEE 802.3 §3.1.1 with a type field.
struct EthernetLayout {
  nic::MacAddress destination{};
  nic::MacAddress source{};
  be16 ether_type;
};

/// IEEE 802.1Q-2018 §9.6: between the addresses and the type, whose place its first field takes. As
/// a layout behind the Ethernet header: what tells the tag, then the type that follows it.
struct VlanLayout {
  be16 tag_control;  ///< priority 3, drop eligible 1, VLAN identifier 12
  be16 ether_type;
};

/// RFC 791 §3.1.
struct Ipv4Layout {
  std::uint8_t version_ihl = 0;
  std::uint8_t type_of_service = 0;
  be16 total_length;
  be16 identification;
  be16 flags_fragment_offset;
  std::uint8_t ttl = 0;
  std::uint8_t protocol = 0;
  be16 checksum;
  Ipv4Address source{};
  Ipv4Address destination{};
};

/// RFC 8200 §3.
struct Ipv6Layout {
  be32 version_class_flow;  ///< version 4, traffic class 8, flow label 20
  be16 payload_length;
  std::uint8_t next_header = 0;
  std::uint8_t hop_limit = 0;
  Ipv6Address source{};
  Ipv6Address destination{};
};

/// What the extension headers that are skipped begin with. RFC 8200 §4.3, §4.4, §4.6; the third
/// field is of the routing header alone.
struct Ipv6ExtensionLayout {
  std::uint8_t next_header = 0;
  std::uint8_t length = 0;  ///< in units of 8 bytes, without the first
  std::uint8_t routing_type = 0;
  std::uint8_t segments_left = 0;
};

/// RFC 9293 §3.1, without the options.
struct TcpLayout {
  be16 source_port;
  be16 destination_port;
  be32 seq;
  be32 ack;
  be16 data_offset_flags;
  be16 window;
  be16 checksum;
  be16 urgent_pointer;
};

/// RFC 768.
struct UdpLayout {
  be16 source_port;
  be16 destination_port;
  be16 length;
  be16 checksum;
};

/// RFC 826, "Packet format", with Ethernet's and IPv4's address lengths.
struct ArpLayout {
  be16 hardware_type;
  be16 protocol_type;
  std::uint8_t hardware_address_bytes = 0;
  std::uint8_t protocol_address_bytes = 0;
  be16 operation;
  nic::MacAddress sender_mac{};
  Ipv4Address sender{};
  nic::MacAddress target_mac{};
  Ipv4Address target{};
};

/// RFC 792, "Echo or Echo Reply Message".
struct IcmpEchoLayout {
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  be16 checksum;
  be16 identifier;
  be16 sequence;
};

/// RFC 792, "Destination Unreachable Message", with RFC 1191 §4's field; RFC 4443 §3.2. The start
/// of the packet that could not be forwarded follows.
struct IcmpErrorLayout {
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  be16 checksum;
  be16 mtu_high;  ///< IPv4: unused
  be16 mtu_low;
};

inline constexpr std::size_t ethernet_bytes = 14;
inline constexpr std::size_t vlan_bytes = 4;
inline constexpr std::size_t ipv4_bytes_min = 20;
inline constexpr std::size_t ipv6_bytes = 40;
inline constexpr std::size_t tcp_bytes_min = 20;
inline constexpr std::size_t tcp_bytes_max = 60;
inline constexpr std::size_t udp_bytes = 8;
inline constexpr std::size_t arp_bytes = 28;
inline constexpr std::size_t icmp_echo_bytes = 8;
inline constexpr std::size_t icmp_error_bytes = 8;
static_assert(sizeof(EthernetLayout) == ethernet_bytes && alignof(EthernetLayout) == 1);
static_assert(sizeof(Ipv4Layout) == ipv4_bytes_min && alignof(Ipv4Layout) == 1);
static_assert(sizeof(VlanLayout) == vlan_bytes && alignof(VlanLayout) == 1);
static_assert(sizeof(Ipv6Layout) == ipv6_bytes && alignof(Ipv6Layout) == 1);
static_assert(sizeof(IcmpErrorLayout) == icmp_error_bytes && alignof(IcmpErrorLayout) == 1);
static_assert(sizeof(TcpLayout) == tcp_bytes_min && alignof(TcpLayout) == 1);
static_assert(sizeof(UdpLayout) == udp_bytes && alignof(UdpLayout) == 1);
static_assert(sizeof(ArpLayout) == arp_bytes && alignof(ArpLayout) == 1);
static_assert(sizeof(IcmpEchoLayout) == icmp_echo_bytes && alignof(IcmpEchoLayout) == 1);

inline constexpr std::uint16_t ether_type_ipv4 = 0x0800;
inline constexpr std::uint16_t ether_type_arp = 0x0806;
inline constexpr std::uint16_t ether_type_vlan = 0x8100;
inline constexpr std::uint16_t ether_type_ipv6 = 0x86dd;
inline constexpr std::uint16_t vlan_id_mask = 0x0fff;
inline constexpr std::uint16_t ipv4_dont_fragment = 0x4000;
inline constexpr std::uint16_t ipv4_more_fragments = 0x2000;
inline constexpr std::uint16_t ipv4_fragment_offset_mask = 0x1fff;
inline constexpr std::uint8_t protocol_icmp = 1;
inline constexpr std::uint8_t protocol_tcp = 6;
inline constexpr std::uint8_t protocol_udp = 17;
inline constexpr std::uint8_t protocol_icmpv6 = 58;
/// Extension headers: RFC 8200 §4.
inline constexpr std::uint8_t next_header_hop_by_hop = 0;
inline constexpr std::uint8_t next_header_routing = 43;
inline constexpr std::uint8_t next_header_fragment = 44;
inline constexpr std::uint8_t next_header_destination = 60;

/// The ECN field, in the low bits of IPv4's type of service and IPv6's traffic class. RFC 3168 §5.
inline constexpr std::uint8_t ecn_mask = 3;
inline constexpr std::uint8_t ecn_not_ect = 0;
inline constexpr std::uint8_t ecn_ect1 = 1;
inline constexpr std::uint8_t ecn_ect0 = 2;
inline constexpr std::uint8_t ecn_ce = 3;

/// Option kinds: RFC 9293 §3.2, RFC 7323 §2.2 and §3.2, RFC 2018 §2 and §3.
inline constexpr std::uint8_t option_end = 0;
inline constexpr std::uint8_t option_nop = 1;
inline constexpr std::uint8_t option_mss = 2;
inline constexpr std::uint8_t option_window_scale = 3;
inline constexpr std::uint8_t option_sack_permitted = 4;
inline constexpr std::uint8_t option_sack = 5;
inline constexpr std::uint8_t option_timestamps = 8;

/// Copies a layout out of `bytes`, which hold at least its size.
template <class Layout>
[[nodiscard]] inline Layout load(const std::byte* bytes) {
  Layout layout;
  std::memcpy(&layout, bytes, sizeof(layout));
  return layout;
}

}  // namespace strictsend::wire
