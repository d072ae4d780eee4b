// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>

#include "nic/wire/ip_packet.hpp"

namespace strictsend::wire {

/// A received UDP datagram, checked in full: a view of the frame's bytes, valid as long as they
/// are.
struct UdpPacketView {
  nic::MacAddress source_mac{};
  nic::MacAddress destination_mac{};
  VlanId vlan_id;
  IpAddress source;
  IpAddress destination;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::span<const std::byte> payload;
};

/// Total over any bytes. A checksum field of zero means that the sender computed none (RFC 768),
/// which IPv6 does not allow (RFC 8200 §8.1).
[[nodiscard]] Parsed<UdpPacketView> parse_udp_packet(std::span<const std::byte> frame,
                                                     nic::RxChecksum known);

}  // namespace strictsend::wire
