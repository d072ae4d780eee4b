// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "nic/gather.hpp"
#include "nic/wire/header_template.hpp"
#include "nic/wire/tcp_packet.hpp"
#include "nic/wire/udp_packet.hpp"
#include "tests/support/captured_packets.hpp"
#include "tests/support/hex.hpp"

namespace strictsend::wire {
namespace {

using nic::RxChecksum;
using test::from_hex;
using Bytes = std::vector<std::byte>;

constexpr std::size_t ip_begin = ethernet_bytes;
constexpr std::size_t tcp_begin = ethernet_bytes + ipv4_bytes_min;
constexpr std::size_t udp_header_end = tcp_begin + udp_bytes;

/// The captured packets' addresses.
const FlowAddress captured_flow{.source_mac = {2, 0, 0, 0, 0, 2},
                                .destination_mac = {2, 0, 0, 0, 0, 1},
                                .source = {10, 77, 0, 2},
                                .destination = {10, 77, 0, 1},
                                .source_port = 0xd990,
                                .destination_port = 8080};

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Bytes bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

/// A whole frame with the checksum done in software.
Bytes tcp_frame(TcpSegmentHeader segment, const Bytes& payload = {}) {
  segment.payload_bytes = static_cast<std::uint32_t>(payload.size());
  Bytes frame(tcp_frame_header_bytes_max);
  frame.resize(TcpHeaderTemplate(captured_flow).emit(frame, segment, inet_sum(payload)));
  frame.insert(frame.end(), payload.begin(), payload.end());
  return frame;
}

void put16(Bytes& frame, std::size_t at, std::uint16_t value) {
  frame.at(at) = static_cast<std::byte>(value >> 8);
  frame.at(at + 1) = static_cast<std::byte>(value);
}

/// After a change to the IPv4 header.
void mend_ip_checksum(Bytes& frame) {
  put16(frame, ip_begin + 10, 0);
  const std::size_t header = std::to_integer<std::size_t>(frame[ip_begin] & std::byte{0xf}) * 4;
  put16(frame, ip_begin + 10, finish_sum(inet_sum(std::span(frame).subspan(ip_begin, header))));
}

/// After a change to the TCP header or payload of a frame without IPv4 options.
void mend_tcp_checksum(Bytes& frame) {
  put16(frame, tcp_begin + 16, 0);
  const std::span<const std::byte> segment = std::span(frame).subspan(tcp_begin);
  put16(frame, tcp_begin + 16,
        finish_sum(pseudo_header_sum(captured_flow.source, captured_flow.destination, protocol_tcp,
                                     segment.size()) +
                   inet_sum(segment)));
}

/// A frame whose options are exactly these bytes (a multiple of 4 of them), checksums right.
Bytes frame_with_options(std::string_view hex, bool syn = true) {
  const Bytes options = from_hex(hex);
  Bytes frame = tcp_frame({.flags = {.syn = syn, .ack = !syn}});
  frame.insert(frame.end(), options.begin(), options.end());
  frame[tcp_begin + 12] = static_cast<std::byte>((tcp_bytes_min + options.size()) / 4 << 4);
  put16(frame, ip_begin + 2, static_cast<std::uint16_t>(frame.size() - ip_begin));
  mend_ip_checksum(frame);
  mend_tcp_checksum(frame);
  return frame;
}

ParseError refusal(const Bytes& frame, RxChecksum known = RxChecksum::unknown) {
  const auto packet = parse_tcp_packet(frame, known);
  EXPECT_FALSE(packet) << "accepted";
  return packet ? ParseError{255} : packet.error();
}

// Reading what a kernel sent.

TEST(TcpPacketView, reads_the_kernels_syn) {
  const Bytes frame = from_hex(test::captured_syn);
  const auto packet = parse_tcp_packet(frame, RxChecksum::unknown);
  ASSERT_TRUE(packet) << to_string(packet.error());
  EXPECT_EQ(packet->source_mac, captured_flow.source_mac);
  EXPECT_EQ(packet->destination_mac, captured_flow.destination_mac);
  EXPECT_EQ(packet->source, captured_flow.source);
  EXPECT_EQ(packet->destination, captured_flow.destination);
  EXPECT_EQ(packet->source_port, 0xd990);
  EXPECT_EQ(packet->destination_port, 8080);
  EXPECT_EQ(packet->seq, 0x3e5f5e70U);
  EXPECT_EQ(packet->ack, 0U);
  EXPECT_EQ(packet->window, 64240);
  EXPECT_EQ(packet->flags, TcpFlags{.syn = true});
  EXPECT_EQ(packet->options,
            (TcpOptions{.mss = 1460,
                        .window_scale = 10,
                        .sack_permitted = true,
                        .timestamps = TcpTimestamps{.value = 0x6c645427, .echo = 0}}));
  EXPECT_TRUE(packet->payload.empty());
}

TEST(TcpPacketView, reads_the_kernels_data_segment_and_fin) {
  const Bytes data = from_hex(test::captured_request);
  const auto packet = parse_tcp_packet(data, RxChecksum::unknown);
  ASSERT_TRUE(packet) << to_string(packet.error());
  EXPECT_EQ(packet->flags, (TcpFlags{.psh = true, .ack = true}));
  EXPECT_EQ(packet->ack, 0x6d48a51dU);
  EXPECT_EQ(packet->options.timestamps, (TcpTimestamps{.value = 0x6c645427, .echo = 0xc873d6d0}));
  EXPECT_EQ(text_of(packet->payload), "GET / HTTP/1.1");

  const Bytes fin = from_hex(test::captured_fin);
  const auto last = parse_tcp_packet(fin, RxChecksum::unknown);
  ASSERT_TRUE(last) << to_string(last.error());
  EXPECT_EQ(last->flags, (TcpFlags{.fin = true, .ack = true}));
}

TEST(TcpPacketView, an_unfinished_checksum_passes_only_where_the_port_expects_it) {
  for (const auto hex : {test::captured_partial_syn, test::captured_partial_request}) {
    const Bytes frame = from_hex(hex);
    EXPECT_TRUE(parse_tcp_packet(frame, RxChecksum::partial));
    EXPECT_TRUE(parse_tcp_packet(frame, RxChecksum::good));
    EXPECT_EQ(refusal(frame), ParseError::tcp_checksum);
  }
  EXPECT_TRUE(parse_tcp_packet(from_hex(test::captured_request), RxChecksum::partial))
      << "a finished one is as good there";
}

TEST(TcpPacketView, a_wrong_checksum_passes_only_where_the_device_vouches_for_it) {
  Bytes frame = from_hex(test::captured_request);
  frame.back() ^= std::byte{1};
  EXPECT_EQ(refusal(frame), ParseError::tcp_checksum);
  EXPECT_EQ(refusal(frame, RxChecksum::partial), ParseError::tcp_checksum);
  EXPECT_TRUE(parse_tcp_packet(frame, RxChecksum::good));
}

TEST(TcpPacketView, every_flipped_bit_behind_the_ethernet_header_is_found) {
  const Bytes sent = from_hex(test::captured_request);
  for (std::size_t bit = ip_begin * 8; bit < sent.size() * 8; ++bit) {
    Bytes frame = sent;
    frame[bit / 8] ^= std::byte{1} << (bit % 8);
    EXPECT_FALSE(parse_tcp_packet(frame, RxChecksum::unknown)) << "bit " << bit;
  }
}

TEST(TcpPacketView, ethernet_padding_is_no_payload) {
  Bytes frame = tcp_frame({.flags = {.ack = true}});
  frame.resize(60, std::byte{0xee});
  const auto packet = parse_tcp_packet(frame, RxChecksum::unknown);
  ASSERT_TRUE(packet) << to_string(packet.error());
  EXPECT_TRUE(packet->payload.empty());
}

TEST(TcpPacketView, skips_ipv4_options) {
  Bytes frame = tcp_frame({.flags = {.ack = true}}, bytes_of("payload"));
  const Bytes router_alert = from_hex("94040000");  // RFC 2113
  frame.insert(frame.begin() + tcp_begin, router_alert.begin(), router_alert.end());
  frame[ip_begin] = std::byte{0x46};
  put16(frame, ip_begin + 2, static_cast<std::uint16_t>(frame.size() - ip_begin));
  mend_ip_checksum(frame);
  const auto packet = parse_tcp_packet(frame, RxChecksum::unknown);
  ASSERT_TRUE(packet) << to_string(packet.error());
  EXPECT_EQ(text_of(packet->payload), "payload");
}

// Refusing what is malformed, by the reason that is meant.

TEST(TcpPacketView, refuses_every_truncation) {
  const Bytes sent = from_hex(test::captured_request);
  for (std::size_t length = 0; length < sent.size(); ++length) {
    // A buffer of its own for each, so that a sanitizer sees a read behind its end.
    const Bytes frame(sent.begin(), sent.begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_EQ(refusal(frame),
              length < ethernet_bytes ? ParseError::ethernet_truncated : ParseError::ip_truncated)
        << length << " bytes";
  }
}

TEST(TcpPacketView, refuses_other_protocols_and_versions) {
  Bytes arp = from_hex(test::captured_syn);
  put16(arp, 12, 0x0806);
  EXPECT_EQ(refusal(arp), ParseError::not_ip);
  Bytes vlan = from_hex(test::captured_syn);
  put16(vlan, 12, 0x8100);
  EXPECT_EQ(refusal(vlan), ParseError::not_ip);
  Bytes version = from_hex(test::captured_syn);
  version[ip_begin] = std::byte{0x65};
  mend_ip_checksum(version);
  EXPECT_EQ(refusal(version), ParseError::not_ip);
  EXPECT_EQ(refusal(from_hex(test::captured_datagram)), ParseError::other_protocol);
}

TEST(TcpPacketView, refuses_ipv4_headers_that_contradict_themselves) {
  Bytes header_length = from_hex(test::captured_syn);
  header_length[ip_begin] = std::byte{0x44};
  EXPECT_EQ(refusal(header_length), ParseError::ip_header_length);

  Bytes below_header = from_hex(test::captured_syn);
  put16(below_header, ip_begin + 2, 19);
  mend_ip_checksum(below_header);
  EXPECT_EQ(refusal(below_header), ParseError::ip_total_length);

  Bytes beyond_frame = from_hex(test::captured_syn);
  put16(beyond_frame, ip_begin + 2, static_cast<std::uint16_t>(beyond_frame.size() - ip_begin + 1));
  mend_ip_checksum(beyond_frame);
  EXPECT_EQ(refusal(beyond_frame), ParseError::ip_truncated);

  Bytes checksum = from_hex(test::captured_syn);
  checksum[ip_begin + 8] = std::byte{63};
  EXPECT_EQ(refusal(checksum), ParseError::ip_checksum);
  mend_ip_checksum(checksum);
  EXPECT_TRUE(parse_tcp_packet(checksum, RxChecksum::unknown)) << "any time to live will do";
}

TEST(TcpPacketView, refuses_fragments_first_and_later) {
  for (const std::uint16_t field : {std::uint16_t{0x2000}, std::uint16_t{0x0001}}) {
    Bytes frame = from_hex(test::captured_syn);
    put16(frame, ip_begin + 6, field);
    mend_ip_checksum(frame);
    EXPECT_EQ(refusal(frame), ParseError::ip_fragment);
  }
}

TEST(TcpPacketView, refuses_group_addresses) {
  const auto with = [](std::size_t at, std::byte value) {
    Bytes frame = from_hex(test::captured_syn);
    frame[at] = value;
    mend_ip_checksum(frame);
    return frame;
  };
  EXPECT_EQ(refusal(with(0, std::byte{0xff})), ParseError::group_address);
  EXPECT_EQ(refusal(with(6, std::byte{0x01})), ParseError::group_address);
  EXPECT_EQ(refusal(with(ip_begin + 12, std::byte{224})), ParseError::group_address);
  EXPECT_EQ(refusal(with(ip_begin + 16, std::byte{255})), ParseError::group_address);
}

TEST(TcpPacketView, refuses_tcp_headers_outside_the_packet) {
  Bytes truncated = tcp_frame({});
  truncated.resize(truncated.size() - 1);
  put16(truncated, ip_begin + 2, static_cast<std::uint16_t>(truncated.size() - ip_begin));
  mend_ip_checksum(truncated);
  EXPECT_EQ(refusal(truncated), ParseError::tcp_truncated);

  for (const unsigned words : {0U, 4U, 6U, 15U}) {
    Bytes frame = tcp_frame({});
    frame[tcp_begin + 12] = static_cast<std::byte>(words << 4);
    mend_tcp_checksum(frame);
    EXPECT_EQ(refusal(frame), ParseError::tcp_data_offset) << words << " words";
  }
}

TEST(TcpOptions, of_a_wrong_length_or_beyond_the_header_are_refused) {
  for (const std::string_view options : {
           "02030100",                  // MSS of 3 bytes
           "0205010000000000",          // MSS of 5
           "03020000",                  // window scale of 2
           "03040100",                  // window scale of 4
           "04030000",                  // SACK-permitted of 3
           "080900000000000000000000",  // timestamps of 9
           "0101080a00000000",          // timestamps cut short
           "01010102",                  // a kind without a length
           "05000000",                  // a length that would never end
           "fe010000",                  // a length that does not hold itself
           "fe050000",                  // beyond the header
           "05020101",                  // SACK without a block
           "0509000000000000000a0000",  // SACK of a block less a byte
       }) {
    EXPECT_EQ(refusal(frame_with_options(options)), ParseError::tcp_options) << options;
  }
}

TEST(TcpOptions, unknown_ones_are_skipped_and_nothing_is_read_behind_the_end) {
  const auto options_of = [](std::string_view hex, bool syn) {
    const Bytes frame = frame_with_options(hex, syn);
    const auto packet = parse_tcp_packet(frame, RxChecksum::unknown);
    EXPECT_TRUE(packet) << to_string(packet.error());
    return packet ? packet->options : TcpOptions{};
  };
  EXPECT_EQ(options_of("fd0600000000020405b40101", true), TcpOptions{.mss = 1460});
  EXPECT_EQ(options_of("00040200", true), TcpOptions{}) << "behind end-of-list";
  EXPECT_EQ(options_of("020405b402040200", true), TcpOptions{.mss = 512}) << "the last counts";
  EXPECT_EQ(options_of("03030f01", true), TcpOptions{.window_scale = 14}) << "RFC 7323 2.3";
  EXPECT_EQ(options_of("0303ff01", true), TcpOptions{.window_scale = 14});
  EXPECT_EQ(options_of("0303000002040200", true), TcpOptions{.window_scale = 0});
  EXPECT_EQ(options_of("020405b40402030307010101", false), TcpOptions{})
      << "a SYN's options elsewhere";
}

TEST(TcpOptions, rfc2018_3_sack_blocks_are_read_but_from_no_syn) {
  const auto blocks_of = [](std::string_view hex, bool syn) {
    const Bytes frame = frame_with_options(hex, syn);
    const auto packet = parse_tcp_packet(frame, RxChecksum::unknown);
    EXPECT_TRUE(packet) << to_string(packet.error());
    return packet ? packet->options.sack_blocks : SackBlocks{};
  };
  constexpr std::string_view one = "0101050a0000000100000002";
  EXPECT_EQ(blocks_of(one, false), (SackBlocks{.blocks = {{{1, 2}}}, .count = 1}));
  EXPECT_EQ(blocks_of(one, true), SackBlocks{});
  EXPECT_EQ(
      blocks_of("0101052200000001000000020000000300000004fffffffe000000050000000600000007", false),
      (SackBlocks{.blocks = {{{1, 2}, {3, 4}, {0xfffffffe, 5}, {6, 7}}}, .count = 4}));
}

TEST(TcpOptions, rfc2018_3_three_sack_blocks_fit_beside_timestamps) {
  EXPECT_EQ(sack_blocks_max({}), 4U);
  EXPECT_EQ(sack_blocks_max({.timestamps = TcpTimestamps{}}), 3U);
  TcpSegmentHeader segment{.flags = {.ack = true}};
  for (const bool timestamps : {false, true}) {
    segment.options = {};
    if (timestamps) segment.options.timestamps = TcpTimestamps{.value = 5, .echo = 6};
    const std::size_t count_max = sack_blocks_max(segment.options);
    for (std::uint8_t count = 1; count <= count_max; ++count) {
      segment.options.sack_blocks.count = count;
      segment.options.sack_blocks.blocks[count - 1U] = {.begin = 0xffffff00U + count,
                                                        .end = 0xa0000000U + count};
      const Bytes frame = tcp_frame(segment, bytes_of("odd"));
      const std::size_t sack_begin = tcp_begin + tcp_bytes_min + (timestamps ? 12 : 0);
      EXPECT_EQ(frame.size(), sack_begin + 4 + std::size_t{8} * count + 3);
      EXPECT_EQ(Bytes(&frame[sack_begin], &frame[sack_begin + 3]), from_hex("010105"));
      const auto packet = parse_tcp_packet(frame, RxChecksum::unknown);
      ASSERT_TRUE(packet) << to_string(packet.error());
      EXPECT_EQ(packet->options, segment.options);
    }
  }
}

TEST(TcpOptionsDeathTest, asserts_that_the_header_has_room_for_the_sack_blocks) {
  EXPECT_DEATH(tcp_frame({.options = {.timestamps = TcpTimestamps{}, .sack_blocks = {.count = 4}}}),
               "tcp_bytes_max");
}

TEST(TcpHeaderTemplate, rfc3168_every_ecn_field_and_flag_is_read_back) {
  for (const std::uint8_t ecn : {ecn_not_ect, ecn_ect0, ecn_ect1, ecn_ce}) {
    for (unsigned choice = 0; choice < 4; ++choice) {
      const TcpFlags flags{.ack = true, .ece = (choice & 1) != 0, .cwr = (choice & 2) != 0};
      const Bytes frame = tcp_frame({.ecn = ecn, .flags = flags}, bytes_of("payload"));
      EXPECT_EQ(std::to_integer<unsigned>(frame[ip_begin + 1]), ecn);
      const auto packet = parse_tcp_packet(frame, RxChecksum::unknown);
      ASSERT_TRUE(packet) << to_string(packet.error());
      EXPECT_EQ(packet->ecn, ecn);
      EXPECT_EQ(packet->flags, flags);
    }
  }
  // The other six bits are for differentiated services (RFC 2474 §3).
  Bytes marked = tcp_frame({.flags = {.ack = true}});
  marked[ip_begin + 1] = std::byte{0xff};
  mend_ip_checksum(marked);
  const auto packet = parse_tcp_packet(marked, RxChecksum::unknown);
  ASSERT_TRUE(packet) << to_string(packet.error());
  EXPECT_EQ(packet->ecn, ecn_ce);
}

// Writing what a kernel would have sent.

/// The TCP part of a captured frame, whose IPv4 identification is the kernel's own.
Bytes tcp_part(std::string_view hex) {
  const Bytes frame = from_hex(hex);
  return {frame.begin() + tcp_begin, frame.end()};
}

TEST(TcpHeaderTemplate, emits_the_kernels_syn_byte_for_byte) {
  const TcpSegmentHeader syn{
      .seq = 0x3e5f5e70,
      .window = 64240,
      .flags = {.syn = true},
      .options = {.mss = 1460,
                  .window_scale = 10,
                  .sack_permitted = true,
                  .timestamps = TcpTimestamps{.value = 0x6c645427, .echo = 0}}};
  const Bytes frame = tcp_frame(syn);
  EXPECT_EQ(Bytes(frame.begin() + tcp_begin, frame.end()), tcp_part(test::captured_syn));
  EXPECT_EQ(Bytes(frame.begin(), frame.begin() + ip_begin),
            Bytes(from_hex("0200000000010200000000020800")));
}

TEST(TcpHeaderTemplate, emits_the_kernels_data_segment_byte_for_byte) {
  const Bytes frame =
      tcp_frame({.seq = 0x3e5f5e71,
                 .ack = 0x6d48a51d,
                 .window = 63,
                 .flags = {.psh = true, .ack = true},
                 .options = {.timestamps = TcpTimestamps{.value = 0x6c645427, .echo = 0xc873d6d0}}},
                bytes_of("GET / HTTP/1.1"));
  EXPECT_EQ(Bytes(frame.begin() + tcp_begin, frame.end()), tcp_part(test::captured_request));
}

TEST(TcpHeaderTemplate, leaves_the_checksum_to_the_device_as_the_kernel_does) {
  FlowAddress flow = captured_flow;
  flow.source_port = 0xd994;
  Bytes header(tcp_frame_header_bytes_max);
  const OffloadedHeader emitted = TcpHeaderTemplate(flow).emit_for_offload(
      header, {.seq = 0x8140b0fd,
               .ack = 0xda590751,
               .window = 63,
               .flags = {.psh = true, .ack = true},
               .options = {.timestamps = TcpTimestamps{.value = 0x5d32affc, .echo = 0xa4fc5bb8}},
               .payload_bytes = 14});
  header.resize(emitted.header_bytes);
  Bytes frame = header;
  const Bytes payload = bytes_of("GET / HTTP/1.1");
  frame.insert(frame.end(), payload.begin(), payload.end());
  EXPECT_EQ(Bytes(frame.begin() + tcp_begin, frame.end()),
            tcp_part(test::captured_partial_request));

  EXPECT_EQ(emitted.checksum.start_bytes, tcp_begin);
  nic::complete_checksum(frame, emitted.checksum);
  EXPECT_TRUE(parse_tcp_packet(frame, RxChecksum::unknown)) << "finished as a device would";
}

TEST(TcpHeaderTemplate, every_combination_of_options_is_read_back) {
  for (unsigned choice = 0; choice < 16; ++choice) {
    TcpSegmentHeader segment{.seq = 0xfffffff0, .ack = 7, .window = 501, .flags = {.syn = true}};
    if ((choice & 1) != 0) segment.options.mss = 536;
    if ((choice & 2) != 0) segment.options.window_scale = window_scale_max;
    segment.options.sack_permitted = (choice & 4) != 0;
    if ((choice & 8) != 0) segment.options.timestamps = TcpTimestamps{.value = ~0U, .echo = 1};
    const Bytes frame = tcp_frame(segment, bytes_of("x"));
    EXPECT_EQ(frame.size(), tcp_begin + 20 + tcp_option_bytes(segment.options) + 1);
    const auto packet = parse_tcp_packet(frame, RxChecksum::unknown);
    ASSERT_TRUE(packet) << to_string(packet.error()) << " with choice " << choice;
    EXPECT_EQ(packet->options, segment.options);
    EXPECT_EQ(packet->seq, segment.seq);
    EXPECT_EQ(packet->ack, segment.ack);
    EXPECT_EQ(packet->window, segment.window);
  }
}

TEST(TcpHeaderTemplate, checksums_hold_for_any_values_and_payload_sums_in_pieces) {
  std::mt19937 random(1);
  const auto any32 = [&] { return static_cast<std::uint32_t>(random()); };
  for (int round = 0; round < 2000; ++round) {
    FlowAddress flow = captured_flow;
    flow.source = {static_cast<std::uint8_t>(1 + random() % 223),
                   static_cast<std::uint8_t>(random()), static_cast<std::uint8_t>(random()),
                   static_cast<std::uint8_t>(random())};
    flow.source_port = static_cast<std::uint16_t>(random());
    Bytes payload(random() % 1449);
    std::ranges::generate(payload, [&] { return static_cast<std::byte>(random()); });
    const std::size_t cut = (payload.size() / 2) & ~std::size_t{1};
    const PartialSum sum = inet_sum(std::span(payload).first(cut)) +
                           inet_sum(std::span(payload).subspan(cut)) +
                           (PartialSum{0xffff} << 40);  // one's-complement zero, unfolded
    TcpSegmentHeader segment{.seq = any32(),
                             .ack = any32(),
                             .window = static_cast<std::uint16_t>(random()),
                             .flags = {.ack = true},
                             .payload_bytes = static_cast<std::uint32_t>(payload.size())};
    if (round % 2 == 0)
      segment.options.timestamps = TcpTimestamps{.value = any32(), .echo = any32()};
    Bytes frame(tcp_frame_header_bytes_max);
    frame.resize(TcpHeaderTemplate(flow).emit(frame, segment, sum));
    frame.insert(frame.end(), payload.begin(), payload.end());
    const auto packet = parse_tcp_packet(frame, RxChecksum::unknown);
    ASSERT_TRUE(packet) << to_string(packet.error()) << " in round " << round;
    EXPECT_TRUE(std::ranges::equal(packet->payload, payload));
  }
}

TEST(TcpHeaderTemplate, what_is_left_of_the_mtu_is_the_payload) {
  EXPECT_EQ(tcp_payload_bytes_max(1500, {}), 1460U);
  EXPECT_EQ(tcp_payload_bytes_max(1500, {.timestamps = TcpTimestamps{}}), 1448U);
}

TEST(TcpHeaderTemplateDeathTest, asserts_room_for_the_header) {
  Bytes small(53);
  EXPECT_DEATH(TcpHeaderTemplate(captured_flow).emit(small, {}, 0), "into.size");
}

// UDP.

FlowAddress datagram_flow(std::uint16_t source_port) {
  FlowAddress flow = captured_flow;
  flow.source_port = source_port;
  flow.destination_port = 9;
  return flow;
}

TEST(UdpPacketView, reads_the_kernels_datagram) {
  const Bytes frame = from_hex(test::captured_datagram);
  const auto packet = parse_udp_packet(frame, RxChecksum::unknown);
  ASSERT_TRUE(packet) << to_string(packet.error());
  EXPECT_EQ(packet->source_port, 0xd822);
  EXPECT_EQ(packet->destination_port, 9);
  EXPECT_EQ(text_of(packet->payload), "datagram");

  const Bytes partial = from_hex(test::captured_partial_datagram);
  EXPECT_TRUE(parse_udp_packet(partial, RxChecksum::partial));
  EXPECT_FALSE(parse_udp_packet(partial, RxChecksum::unknown));
}

TEST(UdpPacketView, refuses_what_is_malformed) {
  const auto refused = [](const Bytes& frame) {
    const auto packet = parse_udp_packet(frame, RxChecksum::unknown);
    EXPECT_FALSE(packet) << "accepted";
    return packet ? ParseError{255} : packet.error();
  };
  EXPECT_EQ(refused(from_hex(test::captured_syn)), ParseError::other_protocol);
  Bytes flipped = from_hex(test::captured_datagram);
  flipped.back() ^= std::byte{1};
  EXPECT_EQ(refused(flipped), ParseError::udp_checksum);
  put16(flipped, tcp_begin + 6, 0);
  EXPECT_TRUE(parse_udp_packet(flipped, RxChecksum::unknown)) << "zero: none was computed";
  for (const std::uint16_t length : {std::uint16_t{7}, std::uint16_t{17}}) {
    Bytes frame = from_hex(test::captured_datagram);
    put16(frame, tcp_begin + 4, length);
    EXPECT_EQ(refused(frame), ParseError::udp_length);
  }
  Bytes truncated = from_hex(test::captured_datagram);
  put16(truncated, ip_begin + 2, 27);
  mend_ip_checksum(truncated);
  EXPECT_EQ(refused(truncated), ParseError::udp_truncated);
}

TEST(UdpHeaderTemplate, emits_the_kernels_datagram_either_way) {
  const Bytes payload = bytes_of("datagram");
  Bytes frame(udp_header_end);
  EXPECT_EQ(UdpHeaderTemplate(datagram_flow(0xd822)).emit(frame, 8, inet_sum(payload)), 42U);
  frame.insert(frame.end(), payload.begin(), payload.end());
  EXPECT_EQ(Bytes(frame.begin() + tcp_begin, frame.end()), tcp_part(test::captured_datagram));

  frame.resize(udp_header_end);
  const auto emitted = UdpHeaderTemplate(datagram_flow(0xd238)).emit_for_offload(frame, 8);
  EXPECT_EQ(emitted.header_bytes, 42U);
  frame.insert(frame.end(), payload.begin(), payload.end());
  EXPECT_EQ(Bytes(frame.begin() + tcp_begin, frame.end()),
            tcp_part(test::captured_partial_datagram));
  nic::complete_checksum(frame, emitted.checksum);
  EXPECT_TRUE(parse_udp_packet(frame, RxChecksum::unknown));
}

TEST(UdpHeaderTemplate, never_sends_a_computed_zero) {
  // Chosen so that the sum of everything else is all ones: try the 65536 values of one word.
  int zeros = 0;
  for (unsigned word = 0; word <= 0xffff; ++word) {
    Bytes frame(udp_header_end);
    UdpHeaderTemplate(datagram_flow(1)).emit(frame, 2, word);
    if (frame[tcp_begin + 6] == std::byte{0} && frame[tcp_begin + 7] == std::byte{0}) ++zeros;
  }
  EXPECT_EQ(zeros, 0);
}

}  // namespace
}  // namespace strictsend::wire
