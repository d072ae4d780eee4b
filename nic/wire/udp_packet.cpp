// SPDX-License-Identifier: Apache-2.0
#include "nic/wire/udp_packet.hpp"

namespace strictsend::wire {

Parsed<UdpPacketView> parse_udp_packet(std::span<const std::byte> frame, nic::RxChecksum known) {
  const auto refuse = [](ParseError error) { return tl::unexpected(error); };

  Parsed<IpPacketView> ip = parse_unicast_packet(frame);
  if (!ip) return refuse(ip.error());
  if (ip->protocol != protocol_udp) return refuse(ParseError::other_protocol);
  if (ip->payload.size() < udp_bytes) return refuse(ParseError::udp_truncated);
  const auto udp = load<UdpLayout>(ip->payload.data());
  const std::size_t length_bytes = udp.length.get();
  if (length_bytes < udp_bytes || length_bytes > ip->payload.size())
    return refuse(ParseError::udp_length);
  ip->payload = ip->payload.first(length_bytes);  // the checksum covers what UDP's length says
  const bool summed = udp.checksum.get() != 0 || ip->source.is_v6();
  if (summed && !checksum_acceptable(*ip, offsetof(UdpLayout, checksum), known))
    return refuse(ParseError::udp_checksum);

  return UdpPacketView{.source_mac = ip->source_mac,
                       .destination_mac = ip->destination_mac,
                       .vlan_id = ip->vlan_id,
                       .source = ip->source,
                       .destination = ip->destination,
                       .source_port = udp.source_port.get(),
                       .destination_port = udp.destination_port.get(),
                       .payload = ip->payload.subspan(udp_bytes)};
}

}  // namespace strictsend::wire
