// SPDX-License-Identifier: Apache-2.0
// IPv6 and VLAN tags as they stand on the wire, and routers' complaints about packets too big.
#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "nic/gather.hpp"
#include "nic/segmentation.hpp"
#include "nic/wire/arp_packet.hpp"
#include "nic/wire/header_template.hpp"
#include "nic/wire/icmp_echo.hpp"
#include "nic/wire/icmp_error.hpp"
#include "nic/wire/neighbour_packet.hpp"
#include "nic/wire/tcp_packet.hpp"
#include "nic/wire/udp_packet.hpp"
#include "tests/support/captured_packets.hpp"
#include "tests/support/hex.hpp"
#include "tests/support/icmp_errors.hpp"

namespace strictsend::wire {
namespace {

using nic::RxChecksum;
using test::from_hex;
using test::packet_too_big;
using Bytes = std::vector<std::byte>;

constexpr std::size_t ip_begin = ethernet_bytes;
constexpr std::size_t payload_begin = ethernet_bytes + ipv6_bytes;

Ipv6Address v6(std::string_view text) {
  return parse_ip_address(text).value().v6();
}

const FlowAddress captured_flow{.source_mac = {2, 0, 0, 0, 0, 2},
                                .destination_mac = {2, 0, 0, 0, 0, 1},
                                .source = v6("2001:db8:77::2"),
                                .destination = v6("2001:db8:77::1"),
                                .source_port = 0x92ae,
                                .destination_port = 8080};
const FlowAddress ipv4_flow{.source_mac = {2, 0, 0, 0, 0, 2},
                            .destination_mac = {2, 0, 0, 0, 0, 1},
                            .source = {10, 77, 0, 2},
                            .destination = {10, 77, 0, 1},
                            .source_port = 0x92ae,
                            .destination_port = 8080};

Bytes bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Bytes tcp_frame(const FlowAddress& flow, TcpSegmentHeader segment, const Bytes& payload = {}) {
  segment.payload_bytes = static_cast<std::uint32_t>(payload.size());
  Bytes frame(tcp_frame_header_bytes_max);
  frame.resize(TcpHeaderTemplate(flow).emit(frame, segment, inet_sum(payload)));
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

Bytes with(Bytes frame, std::size_t at, unsigned value) {
  frame.at(at) = static_cast<std::byte>(value);
  return frame;
}

void put16(Bytes& frame, std::size_t at, std::size_t value) {
  frame.at(at) = static_cast<std::byte>(value >> 8);
  frame.at(at + 1) = static_cast<std::byte>(value);
}

ParseError refusal(const Bytes& frame) {
  const auto packet = parse_tcp_packet(frame, RxChecksum::unknown);
  EXPECT_FALSE(packet) << "accepted";
  return packet ? ParseError{255} : packet.error();
}

// IPv6.

TEST(Ipv6, reads_the_kernels_segments) {
  const Bytes frame = from_hex(test::captured_ipv6_syn);
  const auto syn = parse_tcp_packet(frame, RxChecksum::unknown);
  ASSERT_TRUE(syn) << to_string(syn.error());
  EXPECT_EQ(syn->source, captured_flow.source);
  EXPECT_EQ(syn->destination, captured_flow.destination);
  EXPECT_EQ(syn->source_port, 0x92ae);
  EXPECT_EQ(syn->seq, 0x323ffe14U);
  EXPECT_EQ(syn->options.mss, 1440);
  EXPECT_FALSE(syn->vlan_id);

  const Bytes data = from_hex(test::captured_ipv6_request);
  const auto request = parse_tcp_packet(data, RxChecksum::unknown);
  ASSERT_TRUE(request) << to_string(request.error());
  EXPECT_EQ(text_of(request->payload), "GET / HTTP/1.1");

  const Bytes datagram = from_hex(test::captured_ipv6_datagram);
  const auto udp = parse_udp_packet(datagram, RxChecksum::unknown);
  ASSERT_TRUE(udp) << to_string(udp.error());
  EXPECT_EQ(text_of(udp->payload), "datagram");
}

TEST(Ipv6, emits_the_kernels_segments_but_for_the_flow_label) {
  const auto behind_label = [](const Bytes& frame) {
    return Bytes(frame.begin() + ip_begin + 4, frame.end());
  };
  const Bytes frame =
      tcp_frame(captured_flow,
                {.seq = 0x323ffe15,
                 .ack = 0x50cd5e77,
                 .window = 64,
                 .flags = {.psh = true, .ack = true},
                 .options = {.timestamps = TcpTimestamps{.value = 0x7a2a87ae, .echo = 0x2b6a9507}}},
                bytes_of("GET / HTTP/1.1"));
  EXPECT_EQ(behind_label(frame), behind_label(from_hex(test::captured_ipv6_request)));
  EXPECT_EQ(Bytes(frame.begin(), frame.begin() + ip_begin + 4),
            from_hex("02000000000102000000000286dd60000000"));

  FlowAddress flow = captured_flow;
  flow.source_port = 0xb8ad;
  flow.destination_port = 9;
  Bytes datagram(udp_frame_header_bytes_max);
  datagram.resize(UdpHeaderTemplate(flow).emit(datagram, 8, inet_sum(bytes_of("datagram"))));
  const Bytes payload = bytes_of("datagram");
  datagram.insert(datagram.end(), payload.begin(), payload.end());
  EXPECT_EQ(behind_label(datagram), behind_label(from_hex(test::captured_ipv6_datagram)));
}

TEST(Ipv6, rfc8200_8_1_a_datagram_without_a_checksum_is_refused) {
  Bytes frame = from_hex(test::captured_ipv6_datagram);
  put16(frame, payload_begin + 6, 0);
  const auto packet = parse_udp_packet(frame, RxChecksum::unknown);
  ASSERT_FALSE(packet);
  EXPECT_EQ(packet.error(), ParseError::udp_checksum);
}

TEST(Ipv6, every_flipped_bit_that_a_checksum_covers_is_found) {
  const Bytes sent = from_hex(test::captured_ipv6_request);
  for (std::size_t bit = (ip_begin + 8) * 8; bit < sent.size() * 8; ++bit) {
    Bytes frame = sent;
    frame[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_FALSE(parse_tcp_packet(frame, RxChecksum::unknown)) << "bit " << bit;
  }
}

TEST(Ipv6, refuses_every_truncation_and_what_contradicts_itself) {
  const Bytes sent = from_hex(test::captured_ipv6_request);
  for (std::size_t length = 0; length < sent.size(); ++length) {
    const Bytes frame(sent.begin(), sent.begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_EQ(refusal(frame),
              length < ethernet_bytes ? ParseError::ethernet_truncated : ParseError::ip_truncated)
        << length;
  }
  EXPECT_EQ(refusal(with(sent, ip_begin, 0x40)), ParseError::not_ip) << "version 4";
  EXPECT_EQ(refusal(with(sent, ip_begin + 8, 0xff)), ParseError::group_address);
  EXPECT_EQ(refusal(with(sent, ip_begin + 24, 0xff)), ParseError::group_address);
  EXPECT_EQ(refusal(with(sent, 0, 0x33)), ParseError::group_address);
  EXPECT_EQ(refusal(with(sent, ip_begin + 6, 59)), ParseError::other_protocol) << "no next header";
  Bytes padded = from_hex(test::captured_ipv6_syn);
  padded.resize(padded.size() + 9, std::byte{0xee});
  const auto packet = parse_tcp_packet(padded, RxChecksum::unknown);
  ASSERT_TRUE(packet) << to_string(packet.error());
  EXPECT_TRUE(packet->payload.empty()) << "what is behind the packet is padding";
}

/// The captured segment with extension headers put before TCP's; `first` names the first of them.
Bytes extended(unsigned first, std::string_view extensions) {
  Bytes frame = from_hex(test::captured_ipv6_request);
  const Bytes more = from_hex(extensions);
  frame.insert(frame.begin() + payload_begin, more.begin(), more.end());
  frame[ip_begin + 6] = static_cast<std::byte>(first);
  put16(frame, ip_begin + 4, frame.size() - payload_begin);
  return frame;
}

TEST(Ipv6, rfc8200_4_extension_headers_that_want_nothing_of_a_host_are_skipped) {
  const auto taken = [](const Bytes& frame) {
    const auto packet = parse_tcp_packet(frame, RxChecksum::unknown);
    return packet && text_of(packet->payload) == "GET / HTTP/1.1";
  };
  EXPECT_TRUE(taken(extended(0, "0600010400000000")));
  EXPECT_TRUE(taken(extended(60, "06010104000000000000000000000000"))) << "of 16 bytes";
  EXPECT_TRUE(taken(extended(43, "0600000000000000"))) << "no segment is left";
  EXPECT_TRUE(taken(extended(0, "3c000104000000000600010400000000")))
      << "hop-by-hop, then destination options";
}

TEST(Ipv6, rfc8200_4_other_extension_headers_are_refused) {
  EXPECT_EQ(refusal(extended(44, "0600000000000001")), ParseError::ip_fragment);
  EXPECT_EQ(refusal(extended(0, "2c000104000000000600000100000001")), ParseError::ip_fragment)
      << "behind hop-by-hop options";
  EXPECT_EQ(refusal(extended(43, "0600000100000000")), ParseError::ip_extension)
      << "to be routed on, RFC 5095";
  EXPECT_EQ(refusal(extended(60, "00000104000000000600010400000000")), ParseError::ip_extension)
      << "hop-by-hop options behind others";
  EXPECT_EQ(refusal(extended(60, "06ff010400000000")), ParseError::ip_extension)
      << "longer than the packet";
  std::string many;
  for (int i = 0; i < 9; ++i)
    many += "3c00010400000000";
  EXPECT_EQ(refusal(extended(60, many)), ParseError::ip_extension) << "without end";
}

// VLAN tags.

TEST(Vlan, tags_are_written_and_read_with_both_families) {
  for (const FlowAddress* plain : {&ipv4_flow, &captured_flow}) {
    FlowAddress flow = *plain;
    const TcpSegmentHeader segment{.seq = 5, .ecn = ecn_ect0, .flags = {.ack = true}};
    const Bytes untagged = tcp_frame(flow, segment, bytes_of("payload"));
    flow.vlan_id = 5;
    const Bytes tagged = tcp_frame(flow, segment, bytes_of("payload"));
    ASSERT_EQ(tagged.size(), untagged.size() + vlan_bytes);
    EXPECT_EQ(Bytes(tagged.begin() + 12, tagged.begin() + 16), from_hex("81000005"));
    EXPECT_TRUE(std::equal(tagged.begin() + 16, tagged.end(), untagged.begin() + 12));
    const auto packet = parse_tcp_packet(tagged, RxChecksum::unknown);
    ASSERT_TRUE(packet) << to_string(packet.error());
    EXPECT_EQ(packet->vlan_id, 5);
    EXPECT_EQ(packet->source, flow.source);
    EXPECT_EQ(packet->ecn, ecn_ect0);
    EXPECT_EQ(text_of(packet->payload), "payload");
  }
}

TEST(Vlan, a_tag_of_priority_alone_is_none_and_a_second_one_is_no_ip) {
  FlowAddress flow = ipv4_flow;
  flow.vlan_id = 5;
  const Bytes tagged = tcp_frame(flow, {.flags = {.ack = true}});
  Bytes priority = tagged;
  put16(priority, 14, 0xe000);
  const auto packet = parse_tcp_packet(priority, RxChecksum::unknown);
  ASSERT_TRUE(packet) << to_string(packet.error());
  EXPECT_FALSE(packet->vlan_id);
  Bytes marked = tagged;
  put16(marked, 14, 0xf005);
  EXPECT_EQ(parse_tcp_packet(marked, RxChecksum::unknown)->vlan_id, 5) << "priority 7, may drop";
  Bytes twice = tagged;
  const Bytes more = from_hex("81000006");
  twice.insert(twice.begin() + 12, more.begin(), more.end());
  EXPECT_EQ(refusal(twice), ParseError::not_ip);
  for (std::size_t length = ethernet_bytes; length < tagged.size(); ++length) {
    const Bytes cut(tagged.begin(), tagged.begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_FALSE(parse_tcp_packet(cut, RxChecksum::unknown)) << length;
  }
}

TEST(Vlan, arp_is_tagged_too) {
  const ArpPacket packet{.source_mac = {2, 0, 0, 0, 0, 1},
                         .destination_mac = broadcast_mac,
                         .sender_mac = {2, 0, 0, 0, 0, 1},
                         .sender = {10, 0, 0, 1},
                         .target = {10, 0, 0, 2},
                         .vlan_id = 4094};
  Bytes frame(arp_frame_bytes + vlan_bytes);
  EXPECT_EQ(emit_arp_packet(frame, packet), frame.size());
  EXPECT_EQ(parse_arp_packet(frame), packet);
}

// What a device is asked for.

TEST(Offload, is_asked_for_behind_whatever_headers_there_are) {
  for (const FlowAddress* plain : {&ipv4_flow, &captured_flow}) {
    for (const VlanId vlan_id : {VlanId{}, VlanId{5}}) {
      FlowAddress flow = *plain;
      flow.vlan_id = vlan_id;
      const std::size_t begin = link_bytes(vlan_id) + ip_header_bytes(flow.source.family());
      const Bytes payload = bytes_of("some payload");
      Bytes frame(tcp_frame_header_bytes_max);
      const OffloadedHeader emitted = TcpHeaderTemplate(flow).emit_for_offload(
          frame, {.seq = 1, .flags = {.ack = true}, .payload_bytes = 12});
      EXPECT_EQ(emitted.checksum.start_bytes, begin);
      EXPECT_EQ(emitted.header_bytes, begin + tcp_bytes_min);
      frame.resize(emitted.header_bytes);
      frame.insert(frame.end(), payload.begin(), payload.end());
      EXPECT_TRUE(parse_tcp_packet(frame, RxChecksum::partial));
      nic::complete_checksum(frame, emitted.checksum);
      EXPECT_TRUE(parse_tcp_packet(frame, RxChecksum::unknown));
    }
  }
}

TEST(Offload, packets_are_cut_with_ipv6_headers_and_tags) {
  FlowAddress flow = captured_flow;
  flow.vlan_id = 7;
  constexpr std::uint32_t payload_bytes = 10'001;
  Bytes frame(tcp_frame_header_bytes_max);
  const OffloadedHeader emitted = TcpHeaderTemplate(flow).emit_for_segmentation(
      frame, {.seq = 77, .flags = {.fin = true, .ack = true}, .payload_bytes = payload_bytes});
  frame.resize(emitted.header_bytes);
  for (std::uint32_t i = 0; i < payload_bytes; ++i)
    frame.push_back(static_cast<std::byte>(i * 7 + i / 251));
  const nic::SegmentationRequest request{
      .header_bytes = static_cast<std::uint16_t>(emitted.header_bytes), .payload_bytes = 1440};
  const nic::Segmentation plan(request, static_cast<std::uint32_t>(frame.size()));
  Bytes together;
  for (std::uint32_t i = 0; i < plan.count(); ++i) {
    Bytes piece(2048);
    piece.resize(nic::cut_piece(frame, request, emitted.checksum, i, piece));
    const auto packet = parse_tcp_packet(piece, RxChecksum::unknown);
    ASSERT_TRUE(packet) << to_string(packet.error());
    EXPECT_EQ(packet->seq, 77 + together.size());
    EXPECT_EQ(packet->vlan_id, 7);
    EXPECT_EQ(packet->flags.fin, i + 1 == plan.count());
    together.insert(together.end(), packet->payload.begin(), packet->payload.end());
  }
  EXPECT_TRUE(std::equal(together.begin(), together.end(),
                         frame.begin() + static_cast<std::ptrdiff_t>(emitted.header_bytes)));
}

TEST(Offload, what_is_left_of_the_mtu_is_smaller_with_ipv6) {
  EXPECT_EQ(tcp_payload_bytes_max(1500, {}, AddressFamily::ipv6), 1440U);
}

// "Packet too big".

/// After a change behind the IP header.
Bytes mended(Bytes error) {
  const auto ip = parse_ip_packet(error).value();
  const std::size_t at = error.size() - ip.payload.size();
  put16(error, at + 2, 0);
  const PartialSum pseudo = ip.source.is_v4() ? 0
                                              : pseudo_header_sum(ip.source, ip.destination,
                                                                  ip.protocol, ip.payload.size());
  put16(error, at + 2, finish_sum(pseudo + inet_sum(std::span(error).subspan(at))));
  return error;
}

ParseError error_refusal(const Bytes& frame) {
  const auto error = parse_packet_too_big(frame);
  EXPECT_FALSE(error) << "accepted";
  return error ? ParseError{255} : error.error();
}

TEST(PacketTooBig, rfc1191_and_rfc4443_3_2_names_the_segment_and_the_mtu) {
  for (const FlowAddress* flow : {&ipv4_flow, &captured_flow}) {
    const Bytes sent =
        tcp_frame(*flow, {.seq = 0xfedcba98, .flags = {.ack = true}}, Bytes(1400, std::byte{1}));
    const std::size_t header = ip_header_bytes(flow->source.family());
    // The 64 bits of RFC 792, and as much as fits the least MTU.
    for (const std::size_t quoted : {header + 8, std::size_t{500}}) {
      const auto error = parse_packet_too_big(packet_too_big(sent, 1400, quoted));
      ASSERT_TRUE(error) << to_string(error.error());
      EXPECT_EQ(error->mtu_bytes, 1400U);
      EXPECT_EQ(error->source, flow->source);
      EXPECT_EQ(error->destination, flow->destination);
      EXPECT_EQ(error->source_port, flow->source_port);
      EXPECT_EQ(error->destination_port, flow->destination_port);
      EXPECT_EQ(error->seq, 0xfedcba98U);
      EXPECT_NE(error->reporter, flow->destination);
    }
    EXPECT_EQ(error_refusal(packet_too_big(sent, 1400, header + 7)), ParseError::icmp_truncated);
    EXPECT_EQ(error_refusal(packet_too_big(sent, 1400, header - 1)), ParseError::icmp_truncated);
    EXPECT_EQ(error_refusal(sent), ParseError::other_protocol);
  }
}

TEST(PacketTooBig, rfc8201_4_an_mtu_below_the_least_is_refused) {
  const Bytes v4 = tcp_frame(ipv4_flow, {.flags = {.ack = true}});
  EXPECT_TRUE(parse_packet_too_big(packet_too_big(v4, 68, 40)));
  EXPECT_EQ(error_refusal(packet_too_big(v4, 67, 40)), ParseError::icmp_mtu);
  EXPECT_EQ(error_refusal(packet_too_big(v4, 0, 40)), ParseError::icmp_mtu) << "before RFC 1191";
  const Bytes v6 = tcp_frame(captured_flow, {.flags = {.ack = true}});
  EXPECT_TRUE(parse_packet_too_big(packet_too_big(v6, 1280, 60)));
  EXPECT_EQ(error_refusal(packet_too_big(v6, 1279, 60)), ParseError::icmp_mtu);
  EXPECT_EQ(parse_packet_too_big(packet_too_big(v6, 70'000, 60))->mtu_bytes, 70'000U) << "32 bits";
}

TEST(PacketTooBig, other_messages_and_other_packets_are_refused) {
  const Bytes v4 = packet_too_big(tcp_frame(ipv4_flow, {.flags = {.ack = true}}), 1400, 40);
  constexpr std::size_t icmp = ethernet_bytes + ipv4_bytes_min;
  constexpr std::size_t quoted = icmp + icmp_error_bytes;
  EXPECT_EQ(error_refusal(mended(with(v4, icmp, 11))), ParseError::icmp_type);
  EXPECT_EQ(error_refusal(mended(with(v4, icmp + 1, 3))), ParseError::icmp_type);
  EXPECT_EQ(error_refusal(with(v4, quoted + 24, 0xee)), ParseError::icmp_checksum);
  EXPECT_EQ(error_refusal(mended(with(v4, quoted + 9, 17))), ParseError::icmp_quoted) << "UDP";
  EXPECT_EQ(error_refusal(mended(with(v4, quoted + 15, 99))), ParseError::icmp_quoted)
      << "sent by somebody else";
  EXPECT_EQ(error_refusal(mended(with(v4, quoted + 7, 1))), ParseError::icmp_quoted) << "fragment";
  EXPECT_EQ(error_refusal(mended(with(v4, quoted, 0x44))), ParseError::icmp_quoted);

  const Bytes v6 = packet_too_big(tcp_frame(captured_flow, {.flags = {.ack = true}}), 1400, 60);
  constexpr std::size_t quoted6 = payload_begin + icmp_error_bytes;
  EXPECT_EQ(error_refusal(mended(with(v6, payload_begin, 1))), ParseError::icmp_type);
  EXPECT_EQ(error_refusal(mended(with(v6, quoted6 + 6, 17))), ParseError::icmp_quoted);
  EXPECT_EQ(error_refusal(mended(with(v6, quoted6 + 23, 99))), ParseError::icmp_quoted);
  EXPECT_EQ(error_refusal(with(v6, quoted6 + 50, 0xee)), ParseError::icmp_checksum);
  EXPECT_TRUE(parse_packet_too_big(mended(with(v6, payload_begin + 1, 9))))
      << "RFC 4443 3.2: the code is ignored";
}

TEST(PortUnreachable, rfc792_and_rfc4443_3_1_names_the_datagram) {
  for (const FlowAddress* flow : {&ipv4_flow, &captured_flow}) {
    const UdpHeaderTemplate header(*flow);
    Bytes sent(header.header_bytes());
    header.emit(sent, 0, 0);
    const std::size_t ip_and_udp = ip_header_bytes(flow->source.family()) + udp_bytes;
    const Bytes frame = test::port_unreachable(sent, ip_and_udp);
    const auto error = parse_port_unreachable(frame);
    ASSERT_TRUE(error) << to_string(error.error());
    EXPECT_EQ(error->source, flow->source);
    EXPECT_EQ(error->destination, flow->destination);
    EXPECT_EQ(error->source_port, flow->source_port);
    EXPECT_EQ(error->destination_port, flow->destination_port);

    EXPECT_FALSE(parse_port_unreachable(test::port_unreachable(sent, ip_and_udp - 1)));
    EXPECT_FALSE(parse_port_unreachable(sent));
    EXPECT_EQ(error_refusal(frame), ParseError::icmp_type) << "no MTU";
    const Bytes tcp = tcp_frame(*flow, {.flags = {.ack = true}});
    EXPECT_EQ(parse_port_unreachable(test::port_unreachable(tcp, ip_and_udp)).error(),
              ParseError::icmp_quoted)
        << "a segment's";
  }
}

// Neighbour discovery.

const NeighbourPacket question{.source_mac = {2, 0, 0, 0, 0, 2},
                               .destination_mac = {0x33, 0x33, 0xff, 0, 0, 1},
                               .source = v6("2001:db8:77::2"),
                               .destination = v6("ff02::1:ff00:1"),
                               .kind = NeighbourKind::solicitation,
                               .target = v6("2001:db8:77::1"),
                               .link_address = nic::MacAddress{2, 0, 0, 0, 0, 2}};
const NeighbourPacket answer{.source_mac = {2, 0, 0, 0, 0, 1},
                             .destination_mac = {2, 0, 0, 0, 0, 2},
                             .source = v6("2001:db8:77::1"),
                             .destination = v6("2001:db8:77::2"),
                             .kind = NeighbourKind::advertisement,
                             .target = v6("2001:db8:77::1"),
                             .solicited = true,
                             .overrides = true,
                             .link_address = nic::MacAddress{2, 0, 0, 0, 0, 1}};

Bytes emitted(const NeighbourPacket& packet) {
  Bytes frame(neighbour_frame_bytes_max);
  frame.resize(emit_neighbour_packet(frame, packet));
  return frame;
}

ParseError neighbour_refusal(const Bytes& frame) {
  const auto packet = parse_neighbour_packet(frame);
  EXPECT_FALSE(packet) << "accepted";
  return packet ? ParseError{255} : packet.error();
}

TEST(NeighbourPacket, reads_the_kernels_probe_for_its_own_address) {
  const Bytes frame = from_hex(test::captured_ipv6_probe);
  const auto probe = parse_neighbour_packet(frame);
  ASSERT_TRUE(probe) << to_string(probe.error());
  EXPECT_EQ(probe->source, unspecified_v6);
  EXPECT_EQ(probe->target, v6("2001:db8:77::3"));
  EXPECT_EQ(probe->destination, solicited_node(probe->target));
  EXPECT_EQ(probe->destination_mac, multicast_mac(probe->destination));
  EXPECT_FALSE(probe->link_address) << "its option is a nonce, RFC 7527";
}

TEST(NeighbourPacket, is_read_as_it_was_written) {
  for (NeighbourPacket packet : {question, answer}) {
    EXPECT_EQ(parse_neighbour_packet(emitted(packet)), packet);
    packet.vlan_id = 5;
    packet.link_address.reset();
    packet.router = packet.kind == NeighbourKind::advertisement;
    EXPECT_EQ(parse_neighbour_packet(emitted(packet)), packet);
  }
}

TEST(NeighbourPacket, rfc4861_7_1_what_is_not_valid_is_refused) {
  const Bytes asked = emitted(question);
  constexpr std::size_t option = payload_begin + 24;
  EXPECT_EQ(neighbour_refusal(with(asked, ip_begin + 7, 254)), ParseError::nd_format)
      << "it has passed a router";
  EXPECT_EQ(neighbour_refusal(mended(with(asked, payload_begin + 1, 1))), ParseError::nd_format);
  EXPECT_EQ(neighbour_refusal(mended(with(asked, option + 1, 0))), ParseError::nd_format);
  EXPECT_EQ(neighbour_refusal(mended(with(asked, option + 1, 2))), ParseError::nd_format);
  EXPECT_EQ(neighbour_refusal(with(asked, option + 7, 9)), ParseError::icmp_checksum);
  EXPECT_EQ(neighbour_refusal(mended(with(asked, payload_begin, 134))), ParseError::icmp_type)
      << "a router advertisement";
  EXPECT_EQ(neighbour_refusal(mended(with(asked, option + 2, 3))), ParseError::nd_address)
      << "a group's MAC";

  const auto changed = [](NeighbourPacket packet, auto change) {
    change(packet);
    return neighbour_refusal(emitted(packet));
  };
  EXPECT_EQ(changed(question, [](auto& p) { p.target = v6("ff02::1"); }), ParseError::nd_address);
  EXPECT_EQ(changed(question, [](auto& p) { p.source = unspecified_v6; }), ParseError::nd_address)
      << "from nobody, but with its MAC";
  EXPECT_EQ(changed(question,
                    [](auto& p) {
                      p.source = unspecified_v6;
                      p.link_address.reset();
                      p.destination = p.target;
                    }),
            ParseError::nd_address)
      << "from nobody, to one alone";
  EXPECT_EQ(changed(answer, [](auto& p) { p.destination = all_nodes_v6; }), ParseError::nd_address)
      << "solicited, but to all";
  EXPECT_EQ(changed(answer, [](auto& p) { p.source = unspecified_v6; }), ParseError::nd_address);
  for (std::size_t length = 0; length < asked.size(); ++length)
    EXPECT_FALSE(parse_neighbour_packet(std::span(asked).first(length))) << length;
}

TEST(IcmpEcho, rfc4443_4_ping_over_ipv6_is_answered_with_its_data) {
  const Bytes data = bytes_of("is it alive?");
  const IcmpEchoView request{.source_mac = {2, 0, 0, 0, 0, 2},
                             .destination_mac = {2, 0, 0, 0, 0, 1},
                             .vlan_id = 9,
                             .source = v6("2001:db8:77::2"),
                             .destination = v6("2001:db8:77::1"),
                             .identifier = 3,
                             .sequence = 4,
                             .data = data};
  Bytes frame(frame_bytes(request));
  ASSERT_EQ(emit_icmp_echo(frame, request), frame.size());
  EXPECT_EQ(frame[ethernet_bytes + vlan_bytes + ipv6_bytes], std::byte{128});
  const auto heard = parse_icmp_echo(frame);
  ASSERT_TRUE(heard) << to_string(heard.error());
  EXPECT_EQ(heard->kind, EchoKind::request);
  const IcmpEchoView reply = echo_reply(*heard, heard->source_mac);
  Bytes back(frame_bytes(reply));
  emit_icmp_echo(back, reply);
  EXPECT_EQ(back[ethernet_bytes + vlan_bytes + ipv6_bytes], std::byte{129});
  const auto heard_back = parse_icmp_echo(back);
  ASSERT_TRUE(heard_back) << to_string(heard_back.error());
  EXPECT_EQ(heard_back->source, request.destination);
  EXPECT_EQ(heard_back->vlan_id, 9);
  EXPECT_TRUE(std::ranges::equal(heard_back->data, data));
  back.back() ^= std::byte{1};
  EXPECT_EQ(parse_icmp_echo(back).error(), ParseError::icmp_checksum);
}

// Addresses as text.

TEST(IpAddress, rfc5952_4_is_written_in_one_way) {
  for (const auto& [text, canonical] : std::vector<std::pair<const char*, const char*>>{
           {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
           {"2001:0db8::0001", "2001:db8::1"},
           {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
           {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
           {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
           {"::", "::"},
           {"192.0.2.1", "192.0.2.1"}}) {
    const auto address = parse_ip_address(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(strictsend::to_string(*address), canonical);
  }
  EXPECT_EQ(to_url_host(v6("2001:db8::1")), "[2001:db8::1]");
  EXPECT_EQ(to_url_host(IpAddress(192, 0, 2, 1)), "192.0.2.1");
  for (const char* text : {"", "1.2.3", "1.2.3.4.5", "::1::", "[::1]", "fe80::1%lo", "::/64", "x"})
    EXPECT_FALSE(parse_ip_address(text)) << text;
  EXPECT_FALSE(parse_ip_address(std::string_view("::1\0x", 5)));
}

TEST(IpAddress, families_are_kept_apart) {
  EXPECT_NE(parse_ip_address("::ffff:10.0.0.1"), parse_ip_address("10.0.0.1"));
  EXPECT_NE(IpAddress(Ipv6Address{10, 0, 0, 1}), IpAddress(10, 0, 0, 1));
  EXPECT_EQ(IpAddress(Ipv4Address{10, 0, 0, 1}), IpAddress(10, 0, 0, 1));
}

}  // namespace
}  // namespace strictsend::wire
