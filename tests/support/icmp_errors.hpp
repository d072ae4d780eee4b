// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstring>
#include <vector>

#include "nic/wire/header_template.hpp"
#include "nic/wire/icmp_error.hpp"
#include "nic/wire/ip_packet.hpp"

namespace strictsend::test {

struct IcmpKind {
  int type = 0;
  int code = 0;
  int type6 = 0;
  int code6 = 0;
};

/// An error about a packet, sent back to where that came from, with so many bytes of it.
inline std::vector<std::byte> icmp_error(std::span<const std::byte> frame, const IcmpKind& kind,
                                         std::uint32_t mtu_bytes, std::size_t quoted_bytes,
                                         std::uint32_t seq_shift = 0) {
  const wire::IpPacketView sent = wire::parse_ip_packet(frame).value();
  const bool v4 = sent.source.is_v4();
  const wire::FrameTemplate headers(
      {.source_mac = sent.destination_mac,
       .destination_mac = sent.source_mac,
       .source = parse_ip_address(v4 ? "192.0.2.1" : "2001:db8:99::1").value(),
       .destination = sent.source,
       .vlan_id = sent.vlan_id},
      v4 ? wire::protocol_icmp : wire::protocol_icmpv6);
  const auto packet = frame.subspan(wire::link_bytes(sent.vlan_id)).first(quoted_bytes);
  std::vector<std::byte> quoted(packet.begin(), packet.end());
  const std::size_t seq_at = wire::ip_header_bytes(sent.source.family()) + 4;
  if (seq_shift != 0) {
    const be32 seq = wire::load<be32>(quoted.data() + seq_at).get() + seq_shift;
    std::memcpy(quoted.data() + seq_at, &seq, sizeof seq);
  }
  wire::IcmpErrorLayout icmp{.type = static_cast<std::uint8_t>(v4 ? kind.type : kind.type6),
                             .code = static_cast<std::uint8_t>(v4 ? kind.code : kind.code6),
                             .mtu_high = static_cast<std::uint16_t>(mtu_bytes >> 16),
                             .mtu_low = static_cast<std::uint16_t>(mtu_bytes)};
  const std::size_t bytes = sizeof icmp + quoted.size();
  icmp.checksum = finish_sum((v4 ? 0 : headers.pseudo_sum() + bytes) +
                             inet_sum(std::as_bytes(std::span(&icmp, 1))) + inet_sum(quoted));
  std::vector<std::byte> error(headers.bytes() + bytes);
  headers.write(error.data(), wire::ecn_not_ect, bytes);
  std::memcpy(error.data() + headers.bytes(), &icmp, sizeof icmp);
  std::memcpy(error.data() + headers.bytes() + sizeof icmp, quoted.data(), quoted.size());
  return error;
}

/// What a router says of a TCP segment that was too big for its next link: the MTU. The quoted
/// sequence number is moved on by `seq_shift`, for a router that lies.
inline std::vector<std::byte> packet_too_big(std::span<const std::byte> frame,
                                             std::uint32_t mtu_bytes, std::size_t quoted_bytes,
                                             std::uint32_t seq_shift = 0) {
  return icmp_error(frame, {3, 4, 2, 0}, mtu_bytes, quoted_bytes, seq_shift);
}

/// What a host says of a UDP datagram to a port where nobody listens.
inline std::vector<std::byte> port_unreachable(std::span<const std::byte> frame,
                                               std::size_t quoted_bytes) {
  return icmp_error(frame, {3, 3, 1, 4}, 0, quoted_bytes);
}

}  // namespace strictsend::test
