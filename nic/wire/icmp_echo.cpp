// SPDX-License-Identifier: Apache-2.0
#include "nic/wire/icmp_echo.hpp"

#include "base/assert.hpp"

namespace strictsend::wire {
namespace {

constexpr std::uint8_t echo_ttl_hops = 64;
constexpr std::size_t echo_packet_bytes_max = 65535;

}  // namespace

Parsed<IcmpEchoView> parse_icmp_echo(std::span<const std::byte> frame) {
  const auto refuse = [](ParseError error) { return tl::unexpected(error); };

  const Parsed<Ipv4PacketView> ip = parse_ipv4_packet(frame);
  if (!ip) return refuse(ip.error());
  if (ip->protocol != protocol_icmp) return refuse(ParseError::other_protocol);
  if (ip->payload.size() < icmp_echo_bytes) return refuse(ParseError::icmp_truncated);
  if (fold_sum(inet_sum(ip->payload)) != 0xffff) return refuse(ParseError::icmp_checksum);
  const auto icmp = load<IcmpEchoLayout>(ip->payload.data());
  const bool request = icmp.type == static_cast<std::uint8_t>(EchoKind::request);
  const bool reply = icmp.type == static_cast<std::uint8_t>(EchoKind::reply);
  if ((!request && !reply) || icmp.code != 0) return refuse(ParseError::icmp_type);

  return IcmpEchoView{.source_mac = ip->source_mac,
                      .destination_mac = ip->destination_mac,
                      .source = ip->source,
                      .destination = ip->destination,
                      .kind = request ? EchoKind::request : EchoKind::reply,
                      .identifier = icmp.identifier.get(),
                      .sequence = icmp.sequence.get(),
                      .data = ip->payload.subspan(icmp_echo_bytes)};
}

IcmpEchoView echo_reply(const IcmpEchoView& request, const nic::MacAddress& destination_mac) {
  IcmpEchoView reply = request;
  reply.source_mac = request.destination_mac;
  reply.destination_mac = destination_mac;
  reply.source = request.destination;
  reply.destination = request.source;
  reply.kind = EchoKind::reply;
  return reply;
}

std::uint32_t emit_icmp_echo(std::span<std::byte> into, const IcmpEchoView& echo) {
  const std::size_t length = frame_bytes(echo);
  STRICTSEND_ASSERT(length <= into.size());
  STRICTSEND_ASSERT(length - ethernet_bytes <= echo_packet_bytes_max);
  const EthernetLayout ethernet{.destination = echo.destination_mac,
                                .source = echo.source_mac,
                                .ether_type = ether_type_ipv4};
  // Never fragmented, so the identification may be constant (RFC 6864 §4.1).
  Ipv4Layout ip{.version_ihl = 0x45,
                .type_of_service = 0,
                .total_length = static_cast<std::uint16_t>(length - ethernet_bytes),
                .identification = 0,
                .flags_fragment_offset = ipv4_dont_fragment,
                .ttl = echo_ttl_hops,
                .protocol = protocol_icmp,
                .checksum = 0,
                .source = echo.source,
                .destination = echo.destination};
  ip.checksum = finish_sum(inet_sum(std::as_bytes(std::span(&ip, 1))));
  IcmpEchoLayout icmp{.type = static_cast<std::uint8_t>(echo.kind),
                      .code = 0,
                      .checksum = 0,
                      .identifier = echo.identifier,
                      .sequence = echo.sequence};
  icmp.checksum = finish_sum(inet_sum(std::as_bytes(std::span(&icmp, 1))) + inet_sum(echo.data));

  std::byte* at = into.data();
  std::memcpy(at, &ethernet, sizeof ethernet);
  std::memcpy(at + ethernet_bytes, &ip, sizeof ip);
  std::memcpy(at + ethernet_bytes + ipv4_bytes_min, &icmp, sizeof icmp);
  if (!echo.data.empty())
    std::memcpy(at + ethernet_bytes + ipv4_bytes_min + icmp_echo_bytes, echo.data.data(),
                echo.data.size());
  return static_cast<std::uint32_t>(length);
}

}  // namespace strictsend::wire
