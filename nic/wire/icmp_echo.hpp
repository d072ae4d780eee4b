// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "nic/wire/header_template.hpp"
#include "nic/wire/ip_packet.hpp"

namespace strictsend::wire {

enum class EchoKind : std::uint8_t { reply, request };

/// An ICMP or ICMPv6 echo message (ping) from one host to another, checked in full when it was
/// received: a view of the frame's bytes, valid as long as they are.
struct IcmpEchoView {
  nic::MacAddress source_mac{};
  nic::MacAddress destination_mac{};
  VlanId vlan_id;
  IpAddress source;
  IpAddress destination;
  EchoKind kind = EchoKind::request;
  std::uint16_t identifier = 0;
  std::uint16_t sequence = 0;
  std::span<const std::byte> data;
};

/// Total over any bytes. The checksum is always verified: what a NIC says of a packet's checksum is
/// about TCP and UDP. RFC 792, RFC 1122 §3.2.2.6, RFC 4443 §4.
[[nodiscard]] Parsed<IcmpEchoView> parse_icmp_echo(std::span<const std::byte> frame);

/// The reply, with the request's data, to `destination_mac`. RFC 1122 §3.2.2.6, RFC 4443 §4.2: from
/// the address that was asked.
[[nodiscard]] IcmpEchoView echo_reply(const IcmpEchoView& request,
                                      const nic::MacAddress& destination_mac);

[[nodiscard]] constexpr std::size_t frame_bytes(const IcmpEchoView& echo) {
  return link_bytes(echo.vlan_id) + ip_header_bytes(echo.source.family()) + icmp_echo_bytes +
         echo.data.size();
}

/// Writes the whole frame into `into`, which holds at least frame_bytes(echo) and does not overlap
/// its data; returns its size.
std::uint32_t emit_icmp_echo(std::span<std::byte> into, const IcmpEchoView& echo);

}  // namespace strictsend::wire
