// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "nic/wire/ipv4_packet.hpp"

namespace strictsend::wire {

/// RFC 792: the types of the two messages.
enum class EchoKind : std::uint8_t { reply = 0, request = 8 };

/// An ICMP echo message (ping) from one host to another, checked in full when it was received: a
/// view of the frame's bytes, valid as long as they are.
struct IcmpEchoView {
  nic::MacAddress source_mac{};
  nic::MacAddress destination_mac{};
  Ipv4Address source{};
  Ipv4Address destination{};
  EchoKind kind = EchoKind::request;
  std::uint16_t identifier = 0;
  std::uint16_t sequence = 0;
  std::span<const std::byte> data;
};

/// Total over any bytes. The checksum is always verified: what a NIC says of a packet's checksum is
/// about TCP and UDP. RFC 792, RFC 1122 §3.2.2.6.
[[nodiscard]] Parsed<IcmpEchoView> parse_icmp_echo(std::span<const std::byte> frame);

/// The reply, with the request's data, to `destination_mac`. RFC 1122 §3.2.2.6: from the address
/// that was asked.
[[nodiscard]] IcmpEchoView echo_reply(const IcmpEchoView& request,
                                      const nic::MacAddress& destination_mac);

[[nodiscard]] constexpr std::size_t frame_bytes(const IcmpEchoView& echo) {
  return ethernet_bytes + ipv4_bytes_min + icmp_echo_bytes + echo.data.size();
}

/// Writes the whole frame into `into`, which holds at least frame_bytes(echo) and does not overlap
/// its data; returns its size.
std::uint32_t emit_icmp_echo(std::span<std::byte> into, const IcmpEchoView& echo);

}  // namespace strictsend::wire
