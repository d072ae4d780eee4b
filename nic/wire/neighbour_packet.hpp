// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "nic/wire/header_template.hpp"
#include "nic/wire/ip_packet.hpp"

namespace strictsend::wire {

enum class NeighbourKind : std::uint8_t { solicitation, advertisement };

/// A message of neighbour discovery, IPv6's ARP, received or to be sent: all of it that we act on.
/// RFC 4861 §4.3 and §4.4.
struct NeighbourPacket {
  nic::MacAddress source_mac{};  ///< of the frame, as is the next
  nic::MacAddress destination_mac{};
  VlanId vlan_id;
  Ipv6Address source{};  ///< unspecified: duplicate address detection, RFC 4862 §5.4.2
  Ipv6Address destination{};
  NeighbourKind kind = NeighbourKind::solicitation;
  Ipv6Address target{};
  // The flags of an advertisement.
  bool router = false;
  bool solicited = false;
  bool overrides = false;
  /// The source link-layer address option of a solicitation, the target one of an advertisement.
  std::optional<nic::MacAddress> link_address;
  bool operator==(const NeighbourPacket&) const = default;
};

inline constexpr Ipv6Address unspecified_v6{};
inline constexpr Ipv6Address all_nodes_v6{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

/// Where an address is asked for: RFC 4291 §2.7.1.
[[nodiscard]] constexpr Ipv6Address solicited_node(const Ipv6Address& address) {
  return {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, address[13], address[14], address[15]};
}
/// Of a multicast address: RFC 2464 §7.
[[nodiscard]] constexpr nic::MacAddress multicast_mac(const Ipv6Address& group) {
  return {0x33, 0x33, group[12], group[13], group[14], group[15]};
}

/// Total over any bytes; everything that RFC 4861 §7.1 asks for is checked, the checksum too, and
/// that link-layer addresses are single stations'.
[[nodiscard]] Parsed<NeighbourPacket> parse_neighbour_packet(std::span<const std::byte> frame);

inline constexpr std::size_t neighbour_frame_bytes_max =
    ethernet_bytes + vlan_bytes + ipv6_bytes + 24 + 8;

/// Writes the frame into `into`, which holds neighbour_frame_bytes_max bytes; returns its size.
std::uint32_t emit_neighbour_packet(std::span<std::byte> into, const NeighbourPacket& packet);

}  // namespace strictsend::wire
