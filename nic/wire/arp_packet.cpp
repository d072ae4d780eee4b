// SPDX-License-Identifier: Apache-2.0
#include "nic/wire/arp_packet.hpp"

#include "base/assert.hpp"

namespace strictsend::wire {
namespace {

constexpr std::uint16_t hardware_ethernet = 1;  // RFC 826, ares_hrd$Ethernet

bool is_single_station(const nic::MacAddress& mac) {
  return (mac[0] & 1) == 0 && mac != nic::MacAddress{};
}

}  // namespace

Parsed<ArpPacket> parse_arp_packet(std::span<const std::byte> frame) {
  const auto refuse = [](ParseError error) { return tl::unexpected(error); };

  const Parsed<EthernetView> ethernet = parse_ethernet(frame);
  if (!ethernet) return refuse(ethernet.error());
  if (ethernet->ether_type != ether_type_arp) return refuse(ParseError::not_arp);
  if (ethernet->payload.size() < arp_bytes) return refuse(ParseError::arp_truncated);
  const auto arp = load<ArpLayout>(ethernet->payload.data());
  const std::uint16_t operation = arp.operation.get();
  if (arp.hardware_type.get() != hardware_ethernet || arp.protocol_type.get() != ether_type_ipv4 ||
      arp.hardware_address_bytes != arp.sender_mac.size() ||
      arp.protocol_address_bytes != arp.sender.size() ||
      (operation != static_cast<std::uint16_t>(ArpOperation::request) &&
       operation != static_cast<std::uint16_t>(ArpOperation::reply)))
    return refuse(ParseError::arp_format);
  if (!is_single_station(ethernet->source) || !is_single_station(arp.sender_mac) ||
      arp.sender[0] == 127 || arp.sender[0] >= 224)
    return refuse(ParseError::arp_address);

  return ArpPacket{.source_mac = ethernet->source,
                   .destination_mac = ethernet->destination,
                   .operation = static_cast<ArpOperation>(operation),
                   .sender_mac = arp.sender_mac,
                   .sender = arp.sender,
                   .target_mac = arp.target_mac,
                   .target = arp.target,
                   .vlan_id = ethernet->vlan_id};
}

std::uint32_t emit_arp_packet(std::span<std::byte> into, const ArpPacket& packet) {
  const std::size_t begin = link_bytes(packet.vlan_id);
  STRICTSEND_ASSERT(into.size() >= begin + arp_bytes);
  const ArpLayout arp{.hardware_type = hardware_ethernet,
                      .protocol_type = ether_type_ipv4,
                      .hardware_address_bytes = static_cast<std::uint8_t>(packet.sender_mac.size()),
                      .protocol_address_bytes = static_cast<std::uint8_t>(packet.sender.size()),
                      .operation = static_cast<std::uint16_t>(packet.operation),
                      .sender_mac = packet.sender_mac,
                      .sender = packet.sender,
                      .target_mac = packet.target_mac,
                      .target = packet.target};
  write_link_header(into.data(), packet.source_mac, packet.destination_mac, packet.vlan_id,
                    ether_type_arp);
  std::memcpy(into.data() + begin, &arp, sizeof arp);
  return static_cast<std::uint32_t>(begin + arp_bytes);
}

}  // namespace strictsend::wire
