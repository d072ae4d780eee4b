// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/wire_fuzz.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "base/assert.hpp"
#include "nic/wire/arp_packet.hpp"
#include "nic/wire/header_template.hpp"
#include "nic/wire/icmp_echo.hpp"
#include "nic/wire/icmp_error.hpp"
#include "nic/wire/neighbour_packet.hpp"
#include "nic/wire/tcp_packet.hpp"
#include "nic/wire/udp_packet.hpp"

namespace strictsend::test {
namespace {

using nic::RxChecksum;

void mend_ip_checksum(std::vector<std::byte>& frame) {
  if (frame.size() < wire::ethernet_bytes + wire::ipv4_bytes_min) return;
  const auto ethernet = wire::parse_ethernet(frame);
  if (!ethernet || ethernet->ether_type != wire::ether_type_ipv4) return;
  const std::span<std::byte> ip = std::span(frame).subspan(frame.size() - ethernet->payload.size());
  if (ip.size() < wire::ipv4_bytes_min) return;
  const std::size_t header_bytes = std::to_integer<std::size_t>(ip[0] & std::byte{0xf}) * 4;
  if (header_bytes < wire::ipv4_bytes_min || header_bytes > ip.size()) return;
  ip[10] = ip[11] = std::byte{0};
  const std::uint16_t checksum = finish_sum(inet_sum(ip.first(header_bytes)));
  ip[10] = static_cast<std::byte>(checksum >> 8);
  ip[11] = static_cast<std::byte>(checksum);
}

void expect_inside(std::span<const std::byte> view, std::span<const std::byte> frame) {
  STRICTSEND_ASSERT(view.data() >= frame.data() &&
                    view.data() + view.size() <= frame.data() + frame.size());
}

template <class Packet>
wire::FlowAddress flow_of(const Packet& packet) {
  return {.source_mac = packet.source_mac,
          .destination_mac = packet.destination_mac,
          .source = packet.source,
          .destination = packet.destination,
          .source_port = packet.source_port,
          .destination_port = packet.destination_port,
          .vlan_id = packet.vlan_id};
}

void write_again(const wire::TcpPacketView& packet) {
  std::vector<std::byte> frame(wire::tcp_frame_header_bytes_max);
  const wire::TcpSegmentHeader segment{
      .seq = packet.seq,
      .ack = packet.ack,
      .window = packet.window,
      .ecn = packet.ecn,
      .flags = packet.flags,
      .options = packet.options,
      .payload_bytes = static_cast<std::uint32_t>(packet.payload.size())};
  // What was not aligned as we do it can make an IPv4 packet above 65535 bytes; none of ours is.
  if (packet.payload.size() > 60'000) return;
  frame.resize(
      wire::TcpHeaderTemplate(flow_of(packet)).emit(frame, segment, inet_sum(packet.payload)));
  frame.insert(frame.end(), packet.payload.begin(), packet.payload.end());
  const auto again = wire::parse_tcp_packet(frame, RxChecksum::unknown);
  STRICTSEND_ASSERT(again.has_value());
  STRICTSEND_ASSERT(again->source == packet.source && again->destination == packet.destination);
  STRICTSEND_ASSERT(again->source_port == packet.source_port &&
                    again->destination_port == packet.destination_port);
  STRICTSEND_ASSERT(again->seq == packet.seq && again->ack == packet.ack);
  STRICTSEND_ASSERT(again->window == packet.window && again->flags == packet.flags);
  STRICTSEND_ASSERT(again->ecn == packet.ecn);
  STRICTSEND_ASSERT(again->options == packet.options);
  STRICTSEND_ASSERT(std::ranges::equal(again->payload, packet.payload));
}

void write_again(const wire::UdpPacketView& packet) {
  if (packet.payload.size() > 60'000) return;
  std::vector<std::byte> frame(wire::udp_frame_header_bytes_max);
  frame.resize(wire::UdpHeaderTemplate(flow_of(packet))
                   .emit(frame, static_cast<std::uint32_t>(packet.payload.size()),
                         inet_sum(packet.payload)));
  frame.insert(frame.end(), packet.payload.begin(), packet.payload.end());
  const auto again = wire::parse_udp_packet(frame, RxChecksum::unknown);
  STRICTSEND_ASSERT(again.has_value());
  STRICTSEND_ASSERT(again->source_port == packet.source_port &&
                    again->destination_port == packet.destination_port);
  STRICTSEND_ASSERT(std::ranges::equal(again->payload, packet.payload));
}

void write_again(const wire::ArpPacket& packet) {
  std::vector<std::byte> frame(wire::arp_frame_bytes + wire::vlan_bytes);
  frame.resize(wire::emit_arp_packet(frame, packet));
  const auto again = wire::parse_arp_packet(frame);
  STRICTSEND_ASSERT(again.has_value() && *again == packet);
}

void write_again(const wire::IcmpEchoView& echo) {
  const wire::IcmpEchoView answer = wire::echo_reply(echo, echo.source_mac);
  std::vector<std::byte> frame(wire::frame_bytes(answer));
  wire::emit_icmp_echo(frame, answer);
  const auto again = wire::parse_icmp_echo(frame);
  STRICTSEND_ASSERT(again.has_value() && again->kind == wire::EchoKind::reply);
  STRICTSEND_ASSERT(again->source == echo.destination && again->destination == echo.source);
  STRICTSEND_ASSERT(again->source_mac == echo.destination_mac &&
                    again->destination_mac == echo.source_mac);
  STRICTSEND_ASSERT(again->identifier == echo.identifier && again->sequence == echo.sequence);
  STRICTSEND_ASSERT(std::ranges::equal(again->data, echo.data));
}

void write_again(const wire::NeighbourPacket& packet) {
  std::vector<std::byte> frame(wire::neighbour_frame_bytes_max);
  frame.resize(wire::emit_neighbour_packet(frame, packet));
  const auto again = wire::parse_neighbour_packet(frame);
  STRICTSEND_ASSERT(again.has_value() && *again == packet);
}

/// ICMPv6 of a packet without extension headers.
void mend_icmpv6_checksum(std::vector<std::byte>& frame) {
  const auto ip = wire::parse_ip_packet(frame);
  if (!ip || ip->protocol != wire::protocol_icmpv6 || ip->payload.size() < 4) return;
  const auto at = static_cast<std::size_t>(ip->payload.data() - frame.data());
  frame[at + 2] = frame[at + 3] = std::byte{0};
  const std::uint16_t checksum = finish_sum(
      wire::pseudo_header_sum(ip->source, ip->destination, ip->protocol, ip->payload.size()) +
      inet_sum(ip->payload));
  frame[at + 2] = static_cast<std::byte>(checksum >> 8);
  frame[at + 3] = static_cast<std::byte>(checksum);
}

}  // namespace

bool fuzz_wire(std::span<const std::byte> input) {
  if (input.empty()) return false;
  const auto choice = std::to_integer<unsigned>(input[0]);
  constexpr std::array known{RxChecksum::unknown, RxChecksum::partial, RxChecksum::good,
                             RxChecksum::good};
  // A buffer of its own, so that a sanitizer sees a read behind its end.
  std::vector<std::byte> frame(input.begin() + 1, input.end());
  if ((choice & 4) != 0) {
    mend_ip_checksum(frame);
    mend_icmpv6_checksum(frame);
  }

  if (const auto udp = wire::parse_udp_packet(frame, known[choice & 3])) {
    expect_inside(udp->payload, frame);
    write_again(*udp);
  }
  bool sound = false;
  if (const auto arp = wire::parse_arp_packet(frame)) {
    write_again(*arp);
    sound = true;
  }
  if (const auto echo = wire::parse_icmp_echo(frame)) {
    expect_inside(echo->data, frame);
    write_again(*echo);
    sound = true;
  }
  if (const auto neighbour = wire::parse_neighbour_packet(frame)) {
    write_again(*neighbour);
    sound = true;
  }
  if (const auto too_big = wire::parse_packet_too_big(frame)) {
    STRICTSEND_ASSERT(too_big->source.family() == too_big->destination.family());
    STRICTSEND_ASSERT(too_big->mtu_bytes >= wire::ipv4_mtu_bytes_min);
    sound = true;
  }
  if (const auto refused = wire::parse_port_unreachable(frame)) {
    STRICTSEND_ASSERT(refused->source.family() == refused->destination.family());
    sound = true;
  }
  const auto tcp = wire::parse_tcp_packet(frame, known[choice & 3]);
  if (!tcp) return sound;
  expect_inside(tcp->payload, frame);
  write_again(*tcp);
  return true;
}

}  // namespace strictsend::test

#ifdef STRICTSEND_LIBFUZZER
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  strictsend::test::fuzz_wire(std::as_bytes(std::span(data, size)));
  return 0;
}
#endif
