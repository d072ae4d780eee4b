// SPDX-License-Identifier: Apache-2.0
#include "nic/wire/ipv4_packet.hpp"

namespace strictsend::wire {
namespace {

bool is_group(const nic::MacAddress& mac) {
  return (mac[0] & 1) != 0;
}

/// Multicast and everything above it: 240/4 is reserved and holds the limited broadcast address.
bool is_group(const Ipv4Address& address) {
  return address[0] >= 224;
}

}  // namespace

Parsed<Ipv4PacketView> parse_ipv4_packet(std::span<const std::byte> frame) {
  const auto refuse = [](ParseError error) { return tl::unexpected(error); };

  if (frame.size() < ethernet_bytes) return refuse(ParseError::ethernet_truncated);
  const auto ethernet = load<EthernetLayout>(frame.data());
  if (ethernet.ether_type.get() != ether_type_ipv4) return refuse(ParseError::not_ipv4);

  const std::span<const std::byte> packet = frame.subspan(ethernet_bytes);
  if (packet.size() < ipv4_bytes_min) return refuse(ParseError::ip_truncated);
  const auto ip = load<Ipv4Layout>(packet.data());
  if (ip.version_ihl >> 4 != 4) return refuse(ParseError::not_ipv4);
  const std::size_t header_bytes = std::size_t{ip.version_ihl & 0xfU} * 4;
  if (header_bytes < ipv4_bytes_min) return refuse(ParseError::ip_header_length);
  const std::size_t total_bytes = ip.total_length.get();
  if (total_bytes < header_bytes) return refuse(ParseError::ip_total_length);
  if (total_bytes > packet.size()) return refuse(ParseError::ip_truncated);
  if (fold_sum(inet_sum(packet.first(header_bytes))) != 0xffff)
    return refuse(ParseError::ip_checksum);
  if ((ip.flags_fragment_offset.get() & (ipv4_more_fragments | ipv4_fragment_offset_mask)) != 0)
    return refuse(ParseError::ip_fragment);
  // RFC 1122 §3.2.1.3 and §3.3.6: neither link nor network layer may answer a group address, and
  // TCP talks to single hosts (RFC 9293 §3.9.2.3).
  if (is_group(ethernet.destination) || is_group(ethernet.source) || is_group(ip.source) ||
      is_group(ip.destination))
    return refuse(ParseError::group_address);

  return Ipv4PacketView{.source_mac = ethernet.source,
                        .destination_mac = ethernet.destination,
                        .source = ip.source,
                        .destination = ip.destination,
                        .ecn = static_cast<std::uint8_t>(ip.type_of_service & ecn_mask),
                        .protocol = ip.protocol,
                        .payload = packet.subspan(header_bytes, total_bytes - header_bytes)};
}

bool checksum_acceptable(const Ipv4PacketView& packet, std::size_t checksum_offset_bytes,
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

}  // namespace strictsend::wire
