// SPDX-License-Identifier: Apache-2.0
#include "nic/wire/icmp_echo.hpp"

#include "base/assert.hpp"

namespace strictsend::wire {
namespace {

/// The types of the two messages: RFC 792, RFC 4443 §4.
struct EchoTypes {
  std::uint8_t request;
  std::uint8_t reply;
};
constexpr EchoTypes types_of(const IpAddress& address) {
  return address.is_v4() ? EchoTypes{8, 0} : EchoTypes{128, 129};
}
constexpr std::uint8_t protocol_of(const IpAddress& address) {
  return address.is_v4() ? protocol_icmp : protocol_icmpv6;
}

}  // namespace

Parsed<IcmpEchoView> parse_icmp_echo(std::span<const std::byte> frame) {
  const auto refuse = [](ParseError error) { return tl::unexpected(error); };

  const Parsed<IpPacketView> ip = parse_unicast_packet(frame);
  if (!ip) return refuse(ip.error());
  if (ip->protocol != protocol_of(ip->source)) return refuse(ParseError::other_protocol);
  if (ip->payload.size() < icmp_echo_bytes) return refuse(ParseError::icmp_truncated);
  if (!icmp_checksum_right(*ip)) return refuse(ParseError::icmp_checksum);
  const auto icmp = load<IcmpEchoLayout>(ip->payload.data());
  const EchoTypes types = types_of(ip->source);
  const bool request = icmp.type == types.request;
  if ((!request && icmp.type != types.reply) || icmp.code != 0)
    return refuse(ParseError::icmp_type);

  return IcmpEchoView{.source_mac = ip->source_mac,
                      .destination_mac = ip->destination_mac,
                      .vlan_id = ip->vlan_id,
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
  const FrameTemplate frame({.source_mac = echo.source_mac,
                             .destination_mac = echo.destination_mac,
                             .source = echo.source,
                             .destination = echo.destination,
                             .vlan_id = echo.vlan_id},
                            protocol_of(echo.source));
  const EchoTypes types = types_of(echo.source);
  IcmpEchoLayout icmp{.type = echo.kind == EchoKind::request ? types.request : types.reply,
                      .code = 0,
                      .checksum = 0,
                      .identifier = echo.identifier,
                      .sequence = echo.sequence};
  const std::size_t message_bytes = icmp_echo_bytes + echo.data.size();
  const PartialSum pseudo = echo.source.is_v4() ? 0 : frame.pseudo_sum() + message_bytes;
  icmp.checksum =
      finish_sum(pseudo + inet_sum(std::as_bytes(std::span(&icmp, 1))) + inet_sum(echo.data));

  frame.write(into.data(), ecn_not_ect, message_bytes);
  std::byte* const at = into.data() + frame.bytes();
  std::memcpy(at, &icmp, sizeof icmp);
  if (!echo.data.empty()) std::memcpy(at + icmp_echo_bytes, echo.data.data(), echo.data.size());
  return static_cast<std::uint32_t>(length);
}

}  // namespace strictsend::wire
