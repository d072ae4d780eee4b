// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "nic/wire/ip_packet.hpp"

namespace strictsend::wire {

/// "That packet of yours is too big for the next link", from a router: ICMP's "fragmentation
/// needed" (RFC 1191 §4) or ICMPv6's "packet too big" (RFC 4443 §3.2), about a TCP segment. A
/// value: anybody can make one up, so that what it says must be checked against the connection (RFC
/// 5927).
struct PacketTooBig {
  nic::MacAddress destination_mac{};
  VlanId vlan_id;
  IpAddress reporter;  ///< who says so: any router
  // Of the quoted segment, whose source the error was sent to:
  IpAddress source;
  IpAddress destination;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint32_t seq = 0;
  std::uint32_t mtu_bytes = 0;  ///< of the next link; no less than the protocol's least
};

/// The least that every link carries: RFC 791 §3.2 and RFC 8200 §5. An error that names less is
/// refused (RFC 8201 §4), also one by a router before RFC 1191, which names none.
inline constexpr std::uint32_t ipv4_mtu_bytes_min = 68;
inline constexpr std::uint32_t ipv6_mtu_bytes_min = 1280;

/// Total over any bytes. The error's own checksum is verified; of the quoted segment there need not
/// be more than ports and sequence number (RFC 792), and what follows, extensions (RFC 4884)
/// included, is not looked at.
[[nodiscard]] Parsed<PacketTooBig> parse_packet_too_big(std::span<const std::byte> frame);

/// "Nobody listens on that port", from the peer of a UDP datagram: RFC 792, RFC 4443 §3.1. As
/// little proof as the other.
struct PortUnreachable {
  nic::MacAddress destination_mac{};
  VlanId vlan_id;
  // Of the quoted datagram, whose source the error was sent to:
  IpAddress source;
  IpAddress destination;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
};

/// Total over any bytes, like the other.
[[nodiscard]] Parsed<PortUnreachable> parse_port_unreachable(std::span<const std::byte> frame);

}  // namespace strictsend::wire
