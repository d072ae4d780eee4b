// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/inet_checksum.hpp"
#include "nic/wire/ethernet_frame.hpp"
#include "nic/wire/layout.hpp"
#include "nic/wire/parsed.hpp"

namespace strictsend::wire {

/// A received, whole IP packet of either version in an Ethernet II frame: a view of the frame's
/// bytes, valid as long as they are.
struct IpPacketView {
  nic::MacAddress source_mac{};
  nic::MacAddress destination_mac{};
  VlanId vlan_id;
  IpAddress source;
  IpAddress destination;
  std::uint8_t ecn = 0;                ///< RFC 3168 §5
  std::uint8_t hop_limit = 0;          ///< IPv4's time to live
  std::uint8_t protocol = 0;           ///< of the payload: behind IPv6's extension headers
  std::span<const std::byte> payload;  ///< by the length: Ethernet padding is cut off
};

/// Total over any bytes. IPv4 options are skipped, as are IPv6's hop-by-hop options, destination
/// options, and routing headers that have done their work (a bounded number of them); fragments are
/// refused (our peers do path MTU discovery, RFC 1191 and RFC 8201). The destination need not be
/// ours, the port's filter sees to that.
[[nodiscard]] Parsed<IpPacketView> parse_ip_packet(std::span<const std::byte> frame);

/// The same from one host to another: a group address at either layer is refused.
[[nodiscard]] Parsed<IpPacketView> parse_unicast_packet(std::span<const std::byte> frame);

/// Multicast and, in IPv4, everything above it: 240/4 is reserved and holds the limited broadcast
/// address. RFC 4291 §2.7.
[[nodiscard]] constexpr bool is_group(const IpAddress& address) {
  return address.is_v4() ? address.bytes()[0] >= 224 : address.bytes()[0] == 0xff;
}
[[nodiscard]] constexpr bool is_group(const nic::MacAddress& mac) {
  return (mac[0] & 1) != 0;
}

/// The pseudo-header that TCP, UDP and ICMPv6 checksums cover; both addresses are of one family.
/// RFC 9293 §3.1, RFC 768, RFC 8200 §8.1.
[[nodiscard]] constexpr PartialSum pseudo_header_sum(const IpAddress& source,
                                                     const IpAddress& destination,
                                                     std::uint8_t protocol,
                                                     std::size_t length_bytes) {
  const auto words = [](const IpAddress& address) {
    PartialSum sum = 0;
    const std::span<const std::uint8_t> bytes = address.bytes();
    for (std::size_t i = 0; i < bytes.size(); i += 2)
      sum += PartialSum{bytes[i]} << 8 | PartialSum{bytes[i + 1]};
    return sum;
  };
  return words(source) + words(destination) + protocol + length_bytes;
}

/// Whether the transport checksum in `payload`, at `checksum_offset_bytes`, can be accepted given
/// what the port knows.
[[nodiscard]] bool checksum_acceptable(const IpPacketView& packet,
                                       std::size_t checksum_offset_bytes, nic::RxChecksum known);

/// Whether the checksum of an ICMP or ICMPv6 message is right. RFC 792, RFC 4443 §2.3.
[[nodiscard]] bool icmp_checksum_right(const IpPacketView& packet);

}  // namespace strictsend::wire
