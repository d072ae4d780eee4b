// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/inet_checksum.hpp"
#include "nic/wire/layout.hpp"
#include "nic/wire/parsed.hpp"

namespace strictsend::wire {

/// A received, whole, unicast IPv4 packet in an Ethernet II frame: a view of the frame's bytes,
/// valid as long as they are.
struct Ipv4PacketView {
  nic::MacAddress source_mac{};
  nic::MacAddress destination_mac{};
  Ipv4Address source{};
  Ipv4Address destination{};
  std::uint8_t ecn = 0;  ///< RFC 3168 §5
  std::uint8_t protocol = 0;
  std::span<const std::byte> payload;  ///< by the total length: Ethernet padding is cut off
};

/// Total over any bytes. IPv4 options are skipped; fragments are refused (our peers do path MTU
/// discovery, RFC 1191); the destination need not be ours, the port's filter sees to that.
[[nodiscard]] Parsed<Ipv4PacketView> parse_ipv4_packet(std::span<const std::byte> frame);

/// The pseudo-header that TCP and UDP checksums cover. RFC 9293 §3.1, RFC 768.
[[nodiscard]] constexpr PartialSum pseudo_header_sum(const Ipv4Address& source,
                                                     const Ipv4Address& destination,
                                                     std::uint8_t protocol,
                                                     std::size_t length_bytes) {
  const auto words = [](const Ipv4Address& address) {
    return PartialSum{address[0]} << 24 | PartialSum{address[1]} << 16 |
           PartialSum{address[2]} << 8 | PartialSum{address[3]};
  };
  return words(source) + words(destination) + protocol + length_bytes;
}

/// Whether the transport checksum in `payload`, at `checksum_offset_bytes`, can be accepted given
/// what the port knows.
[[nodiscard]] bool checksum_acceptable(const Ipv4PacketView& packet,
                                       std::size_t checksum_offset_bytes, nic::RxChecksum known);

}  // namespace strictsend::wire
