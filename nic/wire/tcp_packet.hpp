// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "nic/wire/ip_packet.hpp"
#include "nic/wire/tcp_segment.hpp"

namespace strictsend::wire {

/// A received TCP segment, checked in full: a view of the frame's bytes, valid as long as they are.
struct TcpPacketView {
  nic::MacAddress source_mac{};
  nic::MacAddress destination_mac{};
  VlanId vlan_id;
  IpAddress source;
  IpAddress destination;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint32_t seq = 0;
  std::uint32_t ack = 0;
  std::uint16_t window = 0;  ///< as on the wire, unscaled
  std::uint8_t ecn = 0;      ///< of the IP header, RFC 3168 §5
  TcpFlags flags;
  TcpOptions options;
  std::span<const std::byte> payload;
};

/// Total over any bytes: every length is checked before it is used, and the checksum as far as the
/// port has not done it.
[[nodiscard]] Parsed<TcpPacketView> parse_tcp_packet(std::span<const std::byte> frame,
                                                     nic::RxChecksum known);
[[nodiscard]] inline Parsed<TcpPacketView> parse_tcp_packet(const nic::RxPacket& packet) {
  return parse_tcp_packet(packet.bytes, packet.checksum);
}

}  // namespace strictsend::wire
