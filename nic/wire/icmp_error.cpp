// SPDX-License-Identifier: Apache-2.0
#include "nic/wire/icmp_error.hpp"

#include <optional>

namespace strictsend::wire {
namespace {

/// A kind of error, as ICMP and as ICMPv6.
struct ErrorKind {
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  std::uint8_t type6 = 0;
  std::optional<std::uint8_t> code6;  ///< nullopt: to be ignored
};
/// RFC 792, RFC 1191 §4; RFC 4443 §3.2.
constexpr ErrorKind packet_too_big{.type = 3, .code = 4, .type6 = 2, .code6 = std::nullopt};
/// RFC 792; RFC 4443 §3.1.
constexpr ErrorKind port_unreachable{.type = 3, .code = 3, .type6 = 1, .code6 = 4};
/// Ports, and TCP's sequence number: the 64 bits that any router quotes.
constexpr std::size_t quoted_bytes = 8;

struct Quoted {
  IpAddress source;
  IpAddress destination;
  std::span<const std::byte> segment;  ///< or datagram
};

/// What an error says, and of what.
struct IcmpError {
  IpPacketView ip;
  IcmpErrorLayout icmp;
  Quoted quoted;
};

Parsed<Quoted> quoted_ipv4(std::span<const std::byte> packet, std::uint8_t protocol) {
  if (packet.size() < ipv4_bytes_min) return tl::unexpected(ParseError::icmp_truncated);
  const auto ip = load<Ipv4Layout>(packet.data());
  const std::size_t header_bytes = std::size_t{ip.version_ihl & 0xfU} * 4;
  // We never fragment, so a later fragment is nobody's of ours.
  if (ip.version_ihl >> 4 != 4 || header_bytes < ipv4_bytes_min || ip.protocol != protocol ||
      (ip.flags_fragment_offset.get() & ipv4_fragment_offset_mask) != 0)
    return tl::unexpected(ParseError::icmp_quoted);
  if (packet.size() < header_bytes) return tl::unexpected(ParseError::icmp_truncated);
  return Quoted{ip.source, ip.destination, packet.subspan(header_bytes)};
}

/// We send no extension headers, so TCP's or UDP's stands directly behind it.
Parsed<Quoted> quoted_ipv6(std::span<const std::byte> packet, std::uint8_t protocol) {
  if (packet.size() < ipv6_bytes) return tl::unexpected(ParseError::icmp_truncated);
  const auto ip = load<Ipv6Layout>(packet.data());
  if (ip.version_class_flow.get() >> 28 != 6 || ip.next_header != protocol)
    return tl::unexpected(ParseError::icmp_quoted);
  return Quoted{ip.source, ip.destination, packet.subspan(ipv6_bytes)};
}

/// The error's own checksum is verified.
Parsed<IcmpError> parse_error(std::span<const std::byte> frame, const ErrorKind& kind,
                              std::uint8_t protocol) {
  const auto refuse = [](ParseError error) { return tl::unexpected(error); };

  const Parsed<IpPacketView> ip = parse_unicast_packet(frame);
  if (!ip) return refuse(ip.error());
  const bool v4 = ip->source.is_v4();
  if (ip->protocol != (v4 ? protocol_icmp : protocol_icmpv6))
    return refuse(ParseError::other_protocol);
  if (ip->payload.size() < icmp_error_bytes) return refuse(ParseError::icmp_truncated);
  const auto icmp = load<IcmpErrorLayout>(ip->payload.data());
  if (v4 ? icmp.type != kind.type || icmp.code != kind.code
         : icmp.type != kind.type6 || icmp.code != kind.code6.value_or(icmp.code))
    return refuse(ParseError::icmp_type);
  if (!icmp_checksum_right(*ip)) return refuse(ParseError::icmp_checksum);

  const std::span<const std::byte> packet = ip->payload.subspan(icmp_error_bytes);
  const Parsed<Quoted> quoted = v4 ? quoted_ipv4(packet, protocol) : quoted_ipv6(packet, protocol);
  if (!quoted) return refuse(quoted.error());
  // RFC 1122 §3.2.2: an error goes to the source of what it is about.
  if (quoted->source != ip->destination) return refuse(ParseError::icmp_quoted);
  if (quoted->segment.size() < quoted_bytes) return refuse(ParseError::icmp_truncated);
  return IcmpError{*ip, icmp, *quoted};
}

}  // namespace

Parsed<PacketTooBig> parse_packet_too_big(std::span<const std::byte> frame) {
  const Parsed<IcmpError> error = parse_error(frame, packet_too_big, protocol_tcp);
  if (!error) return tl::unexpected(error.error());
  const auto& [ip, icmp, quoted] = *error;
  const bool v4 = ip.source.is_v4();
  const std::uint32_t mtu_bytes =
      v4 ? icmp.mtu_low.get()
         : std::uint32_t{icmp.mtu_high.get()} << 16 | std::uint32_t{icmp.mtu_low.get()};
  if (mtu_bytes < (v4 ? ipv4_mtu_bytes_min : ipv6_mtu_bytes_min))
    return tl::unexpected(ParseError::icmp_mtu);

  const std::byte* const tcp = quoted.segment.data();
  return PacketTooBig{
      .destination_mac = ip.destination_mac,
      .vlan_id = ip.vlan_id,
      .reporter = ip.source,
      .source = quoted.source,
      .destination = quoted.destination,
      .source_port = load<be16>(tcp + offsetof(TcpLayout, source_port)).get(),
      .destination_port = load<be16>(tcp + offsetof(TcpLayout, destination_port)).get(),
      .seq = load<be32>(tcp + offsetof(TcpLayout, seq)).get(),
      .mtu_bytes = mtu_bytes};
}

Parsed<PortUnreachable> parse_port_unreachable(std::span<const std::byte> frame) {
  const Parsed<IcmpError> error = parse_error(frame, port_unreachable, protocol_udp);
  if (!error) return tl::unexpected(error.error());
  const auto& [ip, icmp, quoted] = *error;
  const auto udp = load<UdpLayout>(quoted.segment.data());
  return PortUnreachable{.destination_mac = ip.destination_mac,
                         .vlan_id = ip.vlan_id,
                         .source = quoted.source,
                         .destination = quoted.destination,
                         .source_port = udp.source_port.get(),
                         .destination_port = udp.destination_port.get()};
}

}  // namespace strictsend::wire
