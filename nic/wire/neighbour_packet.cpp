// SPDX-License-Identifier: Apache-2.0
#include "nic/wire/neighbour_packet.hpp"

#include "base/assert.hpp"

namespace strictsend::wire {
namespace {

/// RFC 4861 §4.3 and §4.4; the flags are an advertisement's.
struct NeighbourLayout {
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  be16 checksum;
  be32 flags;
  Ipv6Address target{};
};
/// RFC 4861 §4.6.1.
struct LinkAddressLayout {
  std::uint8_t type = 0;
  std::uint8_t length = 0;  ///< in units of 8 bytes
  nic::MacAddress mac{};
};
static_assert(sizeof(NeighbourLayout) == 24 && alignof(NeighbourLayout) == 1);
static_assert(sizeof(LinkAddressLayout) == 8 && alignof(LinkAddressLayout) == 1);

constexpr std::uint8_t type_solicitation = 135;
constexpr std::uint8_t type_advertisement = 136;
constexpr std::uint8_t option_source_address = 1;
constexpr std::uint8_t option_target_address = 2;
constexpr std::uint32_t flag_router = 0x8000'0000;
constexpr std::uint32_t flag_solicited = 0x4000'0000;
constexpr std::uint32_t flag_override = 0x2000'0000;
/// No router forwards it, so that a packet with it is from this link: RFC 4861 §3.1.
constexpr std::uint8_t hop_limit = 255;

constexpr Ipv6Address loopback_v6{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

/// Whether it can be a host's on a link: no group, not nobody's, not the loopback one.
bool is_host(const Ipv6Address& address) {
  return !is_group(IpAddress(address)) && address != unspecified_v6 && address != loopback_v6;
}

/// The last option of that kind; nullopt in it: there is none.
Parsed<std::optional<nic::MacAddress>> find_link_address(std::span<const std::byte> options,
                                                         std::uint8_t kind) {
  std::optional<nic::MacAddress> found;
  while (!options.empty()) {
    if (options.size() < 8) return tl::unexpected(ParseError::nd_format);
    const auto option = load<LinkAddressLayout>(options.data());
    const std::size_t bytes = std::size_t{option.length} * 8;
    // RFC 4861 §4.6: a length of zero silences the whole packet.
    if (bytes == 0 || bytes > options.size()) return tl::unexpected(ParseError::nd_format);
    if (option.type == kind) {
      if (bytes != sizeof option) return tl::unexpected(ParseError::nd_format);
      if (is_group(option.mac) || option.mac == nic::MacAddress{})
        return tl::unexpected(ParseError::nd_address);
      found = option.mac;
    }
    options = options.subspan(bytes);
  }
  return found;
}

}  // namespace

Parsed<NeighbourPacket> parse_neighbour_packet(std::span<const std::byte> frame) {
  const auto refuse = [](ParseError error) { return tl::unexpected(error); };

  const Parsed<IpPacketView> ip = parse_ip_packet(frame);
  if (!ip) return refuse(ip.error());
  if (ip->source.is_v4() || ip->protocol != protocol_icmpv6)
    return refuse(ParseError::other_protocol);
  if (ip->payload.empty()) return refuse(ParseError::icmp_truncated);
  const auto type = std::to_integer<std::uint8_t>(ip->payload[0]);
  if (type != type_solicitation && type != type_advertisement) return refuse(ParseError::icmp_type);
  if (ip->payload.size() < sizeof(NeighbourLayout)) return refuse(ParseError::icmp_truncated);
  if (!icmp_checksum_right(*ip)) return refuse(ParseError::icmp_checksum);
  const auto message = load<NeighbourLayout>(ip->payload.data());
  if (ip->hop_limit != hop_limit || message.code != 0) return refuse(ParseError::nd_format);

  const bool asks = type == type_solicitation;
  const auto link_address = find_link_address(ip->payload.subspan(sizeof message),
                                              asks ? option_source_address : option_target_address);
  if (!link_address) return refuse(link_address.error());
  const std::uint32_t flags = asks ? 0 : message.flags.get();
  const NeighbourPacket packet{
      .source_mac = ip->source_mac,
      .destination_mac = ip->destination_mac,
      .vlan_id = ip->vlan_id,
      .source = ip->source.v6(),
      .destination = ip->destination.v6(),
      .kind = asks ? NeighbourKind::solicitation : NeighbourKind::advertisement,
      .target = message.target,
      .router = (flags & flag_router) != 0,
      .solicited = (flags & flag_solicited) != 0,
      .overrides = (flags & flag_override) != 0,
      .link_address = *link_address};
  const bool from_nobody = packet.source == unspecified_v6;
  if (is_group(packet.source_mac) || !is_host(packet.target) ||
      (from_nobody ? !asks : !is_host(packet.source)))
    return refuse(ParseError::nd_address);
  // RFC 4861 §7.1.1.
  if (from_nobody && (packet.link_address || packet.destination != solicited_node(packet.target)))
    return refuse(ParseError::nd_address);
  // RFC 4861 §7.1.2.
  if (packet.solicited && is_group(ip->destination)) return refuse(ParseError::nd_address);
  return packet;
}

std::uint32_t emit_neighbour_packet(std::span<std::byte> into, const NeighbourPacket& packet) {
  STRICTSEND_ASSERT(into.size() >= neighbour_frame_bytes_max);
  const bool asks = packet.kind == NeighbourKind::solicitation;
  const FrameTemplate frame({.source_mac = packet.source_mac,
                             .destination_mac = packet.destination_mac,
                             .source = packet.source,
                             .destination = packet.destination,
                             .vlan_id = packet.vlan_id},
                            protocol_icmpv6, hop_limit);
  NeighbourLayout message{.type = asks ? type_solicitation : type_advertisement,
                          .code = 0,
                          .checksum = 0,
                          .flags = (packet.router ? flag_router : 0) |
                                   (packet.solicited ? flag_solicited : 0) |
                                   (packet.overrides ? flag_override : 0),
                          .target = packet.target};
  const LinkAddressLayout option{.type = asks ? option_source_address : option_target_address,
                                 .length = 1,
                                 .mac = packet.link_address.value_or(nic::MacAddress{})};
  const std::size_t bytes = sizeof message + (packet.link_address ? sizeof option : 0);
  PartialSum sum = frame.pseudo_sum() + bytes + inet_sum(std::as_bytes(std::span(&message, 1)));
  if (packet.link_address) sum += inet_sum(std::as_bytes(std::span(&option, 1)));
  message.checksum = finish_sum(sum);

  frame.write(into.data(), ecn_not_ect, bytes);
  std::byte* const at = into.data() + frame.bytes();
  std::memcpy(at, &message, sizeof message);
  if (packet.link_address) std::memcpy(at + sizeof message, &option, sizeof option);
  return static_cast<std::uint32_t>(frame.bytes() + bytes);
}

}  // namespace strictsend::wire
