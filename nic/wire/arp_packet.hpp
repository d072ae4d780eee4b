// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "nic/wire/ethernet_frame.hpp"
#include "nic/wire/layout.hpp"
#include "nic/wire/parsed.hpp"

namespace strictsend::wire {

enum class ArpOperation : std::uint16_t { request = 1, reply = 2 };

inline constexpr nic::MacAddress broadcast_mac{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

/// An ARP packet in an Ethernet II frame, received or to be sent: all of it, for it has no payload.
/// RFC 826.
struct ArpPacket {
  nic::MacAddress source_mac{};  ///< of the frame, as is the next
  nic::MacAddress destination_mac{};
  ArpOperation operation = ArpOperation::request;
  nic::MacAddress sender_mac{};
  Ipv4Address sender{};  ///< all zero in a probe, RFC 5227 §1.1
  nic::MacAddress target_mac{};
  Ipv4Address target{};
  VlanId vlan_id;
  bool operator==(const ArpPacket&) const = default;
};

inline constexpr std::size_t arp_frame_bytes = ethernet_bytes + arp_bytes;  ///< without a tag

/// Total over any bytes. What stands behind the packet is padding. The sender must be somebody who
/// can be answered: no group address, neither of the link nor of the network.
[[nodiscard]] Parsed<ArpPacket> parse_arp_packet(std::span<const std::byte> frame);

/// Writes the frame into `into`, which holds arp_frame_bytes and a tag if there is one;
/// returns its size. Ports pad.
std::uint32_t emit_arp_packet(std::span<std::byte> into, const ArpPacket& packet);

}  // namespace strictsend::wire
