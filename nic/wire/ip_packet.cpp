// SPDX-License-Identifier: Apache-2.0
#include "nic/wire/ip_packet.hpp"

namespace strictsend::wire {
namespace {

/// RFC 8200 §4.1 names three of those that are skipped, one of them twice. More come from nobody
/// but who wants to keep us busy.
constexpr int extensions_max = 8;

tl::unexpected<ParseError> refuse(ParseError error) {
  return tl::unexpected(error);
}

Parsed<IpPacketView> parse_ipv4(const EthernetView& ethernet) {
  const std::span<const std::byte> packet = ethernet.payload;
  if (packet.size() < ipv4_bytes_min) return refuse(ParseError::ip_truncated);
  const auto ip = load<Ipv4Layout>(packet.data());
  if (ip.version_ihl >> 4 != 4) return refuse(ParseError::not_ip);
  const std::size_t header_bytes = std::size_t{ip.version_ihl & 0xfU} * 4;
  if (header_bytes < ipv4_bytes_min) return refuse(ParseError::ip_header_length);
  const std::size_t total_bytes = ip.total_length.get();
  if (total_bytes < header_bytes) return refuse(ParseError::ip_total_length);
  if (total_bytes > packet.size()) return refuse(ParseError::ip_truncated);
  if (fold_sum(inet_sum(packet.first(header_bytes))) != 0xffff)
    return refuse(ParseError::ip_checksum);
  if ((ip.flags_fragment_offset.get() & (ipv4_more_fragments | ipv4_fragment_offset_mask)) != 0)
    return refuse(ParseError::ip_fragment);

  return IpPacketView{.source_mac = ethernet.source,
                      .destination_mac = ethernet.destination,
                      .vlan_id = ethernet.vlan_id,
                      .source = ip.source,
                      .destination = ip.destination,
                      .ecn = static_cast<std::uint8_t>(ip.type_of_service & ecn_mask),
                      .hop_limit = ip.ttl,
                      .protocol = ip.protocol,
                      .payload = packet.subspan(header_bytes, total_bytes - header_bytes)};
}

/// Moves the view's protocol and payload behind the extension headers.
Parsed<IpPacketView> skip_extensions(IpPacketView view) {
  for (int i = 0; i <= extensions_max; ++i) {
    switch (view.protocol) {
      case next_header_fragment:
        return refuse(ParseError::ip_fragment);
      case next_header_hop_by_hop:
        // RFC 8200 §4.1: nowhere but directly behind the IPv6 header.
        if (i != 0) return refuse(ParseError::ip_extension);
        break;
      case next_header_routing:
      case next_header_destination:
        break;
      default:
        return view;
    }
    if (view.payload.size() < 8) return refuse(ParseError::ip_extension);
    const auto extension = load<Ipv6ExtensionLayout>(view.payload.data());
    const std::size_t bytes = 8 + std::size_t{extension.length} * 8;
    if (bytes > view.payload.size()) return refuse(ParseError::ip_extension);
    // RFC 8200 §4.4: a host is no intermediate node of somebody's route (RFC 5095).
    if (view.protocol == next_header_routing && extension.segments_left != 0)
      return refuse(ParseError::ip_extension);
    view.protocol = extension.next_header;
    view.payload = view.payload.subspan(bytes);
  }
  return refuse(ParseError::ip_extension);
}

Parsed<IpPacketView> parse_ipv6(const EthernetView& ethernet) {
  const std::span<const std::byte> packet = ethernet.payload;
  if (packet.size() < ipv6_bytes) return refuse(ParseError::ip_truncated);
  const auto ip = load<Ipv6Layout>(packet.data());
  const std::uint32_t first = ip.version_class_flow.get();
  if (first >> 28 != 6) return refuse(ParseError::not_ip);
  // Zero would say that a jumbo payload option has the length (RFC 2675 §3), which no frame here
  // holds; then nothing is left for the upper layer, which says so.
  const std::size_t payload_bytes = ip.payload_length.get();
  if (payload_bytes > packet.size() - ipv6_bytes) return refuse(ParseError::ip_truncated);

  return skip_extensions({.source_mac = ethernet.source,
                          .destination_mac = ethernet.destination,
                          .vlan_id = ethernet.vlan_id,
                          .source = ip.source,
                          .destination = ip.destination,
                          .ecn = static_cast<std::uint8_t>(first >> 20 & ecn_mask),
                          .hop_limit = ip.hop_limit,
                          .protocol = ip.next_header,
                          .payload = packet.subspan(ipv6_bytes, payload_bytes)});
}

}  // namespace

Parsed<IpPacketView> parse_ip_packet(std::span<const std::byte> frame) {
  const Parsed<EthernetView> ethernet = parse_ethernet(frame);
  if (!ethernet) return refuse(ethernet.error());
  if (ethernet->ether_type == ether_type_ipv4) return parse_ipv4(*ethernet);
  if (ethernet->ether_type == ether_type_ipv6) return parse_ipv6(*ethernet);
  return refuse(ParseError::not_ip);
}

Parsed<IpPacketView> parse_unicast_packet(std::span<const std::byte> frame) {
  Parsed<IpPacketView> packet = parse_ip_packet(frame);
  // RFC 1122 §3.2.1.3 and §3.3.6, RFC 4291 §2.7: neither link nor network layer may answer a group
  // address, and TCP talks to single hosts (RFC 9293 §3.9.2.3).
  if (packet && (is_group(packet->destination_mac) || is_group(packet->source_mac) ||
                 is_group(packet->source) || is_group(packet->destination)))
    return refuse(ParseError::group_address);
  return packet;
}

bool checksum_acceptable(const IpPacketView& packet, std::size_t checksum_offset_bytes,
                         nic::RxChecksum known) {
  if (known == nic::RxChecksum::good) return true;
  const PartialSum pseudo =
      pseudo_header_sum(packet.source, packet.destination, packet.protocol, packet.payload.size());
  if (known == nic::RxChecksum::partial) {
    const auto field = load<be16>(packet.payload.data() + checksum_offset_bytes);
    if (field.get() == fold_sum(pseudo)) return true;
  }
  return fold_sum(pseudo + inet_sum(packet.payload)) == 0xffff;
}

bool icmp_checksum_right(const IpPacketView& packet) {
  const PartialSum pseudo = packet.source.is_v4()
                                ? 0
                                : pseudo_header_sum(packet.source, packet.destination,
                                                    packet.protocol, packet.payload.size());
  return fold_sum(pseudo + inet_sum(packet.payload)) == 0xffff;
}

}  // namespace strictsend::wire
