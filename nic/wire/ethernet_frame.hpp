// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "nic/wire/layout.hpp"
#include "nic/wire/parsed.hpp"

namespace strictsend::wire {

/// The VLAN that a frame belongs to; nullopt: it has no tag, or one of priority alone, which is
/// the same (IEEE 802.1Q-2018 §9.6, VID 0).
using VlanId = std::optional<std::uint16_t>;

/// What the link layer says of a received frame, with one 802.1Q tag or none: a view of its bytes.
struct EthernetView {
  nic::MacAddress source{};
  nic::MacAddress destination{};
  VlanId vlan_id;
  std::uint16_t ether_type = 0;  ///< of the payload; a second tag's where there is one
  std::span<const std::byte> payload;
};

/// Total over any bytes.
[[nodiscard]] inline Parsed<EthernetView> parse_ethernet(std::span<const std::byte> frame) {
  if (frame.size() < ethernet_bytes) return tl::unexpected(ParseError::ethernet_truncated);
  const auto ethernet = load<EthernetLayout>(frame.data());
  EthernetView view{.source = ethernet.source,
                    .destination = ethernet.destination,
                    .ether_type = ethernet.ether_type.get(),
                    .payload = frame.subspan(ethernet_bytes)};
  if (view.ether_type != ether_type_vlan) return view;
  if (view.payload.size() < vlan_bytes) return tl::unexpected(ParseError::ethernet_truncated);
  const auto vlan = load<VlanLayout>(view.payload.data());
  const std::uint16_t id = vlan.tag_control.get() & vlan_id_mask;
  if (id != 0) view.vlan_id = id;
  view.ether_type = vlan.ether_type.get();
  view.payload = view.payload.subspan(vlan_bytes);
  return view;
}

[[nodiscard]] constexpr std::size_t link_bytes(const VlanId& vlan_id) {
  return ethernet_bytes + (vlan_id ? vlan_bytes : 0);
}

/// Writes the link layer's header, link_bytes(vlan_id) of it, into what holds it.
inline std::size_t write_link_header(std::byte* into, const nic::MacAddress& source,
                                     const nic::MacAddress& destination, const VlanId& vlan_id,
                                     std::uint16_t ether_type) {
  const EthernetLayout ethernet{.destination = destination,
                                .source = source,
                                .ether_type = vlan_id ? ether_type_vlan : ether_type};
  std::memcpy(into, &ethernet, sizeof ethernet);
  if (!vlan_id) return ethernet_bytes;
  const VlanLayout vlan{.tag_control = *vlan_id, .ether_type = ether_type};
  std::memcpy(into + ethernet_bytes, &vlan, sizeof vlan);
  return ethernet_bytes + vlan_bytes;
}

}  // namespace strictsend::wire
