// SPDX-License-Identifier: Apache-2.0
// A packet cut into several, as a device does it: read back by the parsers of nic/wire.
#include "nic/segmentation.hpp"

#include <array>
#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "nic/gather.hpp"
#include "nic/wire/header_template.hpp"
#include "nic/wire/tcp_packet.hpp"

namespace strictsend::nic {
namespace {

using Bytes = std::vector<std::byte>;

const wire::FlowAddress flow{.source_mac = {2, 0, 0, 0, 0, 1},
                             .destination_mac = {2, 0, 0, 0, 0, 2},
                             .source = {10, 0, 0, 1},
                             .destination = {192, 168, 255, 254},
                             .source_port = 443,
                             .destination_port = 51'234};

/// One long packet and the requests that go with it, as the engine makes them.
struct Whole {
  Bytes frame;
  SegmentationRequest request;
  ChecksumRequest checksum;
};

Whole whole_of(wire::TcpSegmentHeader header, std::uint32_t payload_bytes, std::uint16_t each) {
  header.payload_bytes = payload_bytes;
  std::array<std::byte, wire::tcp_frame_header_bytes_max> bytes;
  const auto emitted = wire::TcpHeaderTemplate(flow).emit_for_segmentation(bytes, header);
  Whole whole;
  whole.frame.assign(bytes.begin(), bytes.begin() + emitted.header_bytes);
  for (std::uint32_t i = 0; i < payload_bytes; ++i)
    whole.frame.push_back(static_cast<std::byte>(i * 7 + i / 251));
  whole.request = {.header_bytes = static_cast<std::uint16_t>(emitted.header_bytes),
                   .payload_bytes = each};
  whole.checksum = emitted.checksum;
  return whole;
}

std::vector<Bytes> cut(const Whole& whole) {
  const Segmentation plan(whole.request, static_cast<std::uint32_t>(whole.frame.size()));
  std::vector<Bytes> pieces;
  for (std::uint32_t i = 0; i < plan.count(); ++i) {
    Bytes& piece = pieces.emplace_back(4096);
    piece.resize(cut_piece(whole.frame, whole.request, whole.checksum, i, piece));
    EXPECT_EQ(piece.size(), plan.frame_bytes(i));
  }
  return pieces;
}

wire::Ipv4Layout ip_of(const Bytes& frame) {
  return wire::load<wire::Ipv4Layout>(frame.data() + wire::ethernet_bytes);
}

TEST(Segmentation, plans_whole_packets_and_a_rest) {
  const Segmentation plan({.header_bytes = 66, .payload_bytes = 1448}, 66 + 3 * 1448 + 5);
  ASSERT_EQ(plan.count(), 4U);
  std::uint32_t next = 0;
  for (std::uint32_t i = 0; i < plan.count(); ++i) {
    EXPECT_EQ(plan.piece(i).payload_begin_bytes, next);
    EXPECT_EQ(plan.piece(i).payload_bytes, i < 3 ? 1448U : 5U);
    EXPECT_EQ(plan.piece(i).last, i == 3);
    next += plan.piece(i).payload_bytes;
  }
  EXPECT_EQ(Segmentation({.header_bytes = 66, .payload_bytes = 1448}, 66 + 2 * 1448).count(), 2U)
      << "no empty rest";
}

TEST(Segmentation, every_piece_is_a_valid_packet_and_together_they_are_the_whole) {
  for (const std::uint32_t payload_bytes : {1449U, 2896U, 10'001U, 65'483U}) {
    for (const bool timestamps : {false, true}) {
      SCOPED_TRACE(payload_bytes);
      wire::TcpSegmentHeader header{
          .seq = 0xffff'fff0, .ack = 77, .window = 501, .flags = {.ack = true}};
      if (timestamps) header.options.timestamps = wire::TcpTimestamps{.value = 9, .echo = ~0U};
      const std::uint16_t each = timestamps ? 1448 : 1460;
      if (payload_bytes <= each) continue;
      const Whole whole = whole_of(header, payload_bytes, each);
      Bytes payload;
      std::uint32_t seq = header.seq;
      std::uint16_t identification = 0;
      for (const Bytes& piece : cut(whole)) {
        ASSERT_LE(piece.size(), 1514U);
        const auto packet = wire::parse_tcp_packet(piece, RxChecksum::unknown);
        ASSERT_TRUE(packet) << wire::to_string(packet.error());
        EXPECT_EQ(packet->seq, seq);
        EXPECT_EQ(packet->ack, header.ack);
        EXPECT_EQ(packet->window, header.window);
        EXPECT_EQ(packet->options, header.options);
        EXPECT_EQ(packet->source_mac, flow.source_mac);
        EXPECT_EQ(packet->destination, flow.destination);
        EXPECT_EQ(packet->destination_port, flow.destination_port);
        EXPECT_EQ(ip_of(piece).identification.get(), identification++);
        EXPECT_EQ(ip_of(piece).flags_fragment_offset.get(), wire::ipv4_dont_fragment);
        seq += static_cast<std::uint32_t>(packet->payload.size());
        payload.insert(payload.end(), packet->payload.begin(), packet->payload.end());
      }
      EXPECT_TRUE(std::equal(payload.begin(), payload.end(),
                             whole.frame.begin() + whole.request.header_bytes, whole.frame.end()));
    }
  }
}

TEST(Segmentation, fin_and_psh_are_the_lasts_alone) {
  const Whole whole =
      whole_of({.flags = {.fin = true, .psh = true, .ack = true}}, 3 * 1000 + 1, 1000);
  const std::vector<Bytes> pieces = cut(whole);
  ASSERT_EQ(pieces.size(), 4U);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const auto packet = wire::parse_tcp_packet(pieces[i], RxChecksum::unknown);
    ASSERT_TRUE(packet) << wire::to_string(packet.error());
    EXPECT_EQ(packet->flags.fin, i == 3);
    EXPECT_EQ(packet->flags.psh, i == 3);
    EXPECT_TRUE(packet->flags.ack);
  }
}

TEST(Segmentation, rfc3168_6_1_2_cwr_is_the_firsts_alone_and_ece_everybodys) {
  Whole whole = whole_of({.flags = {.ack = true}}, 2500, 1000);
  constexpr std::size_t flags_at = 34 + 13;
  whole.frame[flags_at] |= std::byte{0x80 | 0x40};
  const std::vector<Bytes> pieces = cut(whole);
  ASSERT_EQ(pieces.size(), 3U);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    EXPECT_EQ((pieces[i][flags_at] & std::byte{0x80}) != std::byte{0}, i == 0);
    EXPECT_NE(pieces[i][flags_at] & std::byte{0x40}, std::byte{0});
    EXPECT_TRUE(wire::parse_tcp_packet(pieces[i], RxChecksum::unknown));
  }
}

TEST(Segmentation, headers_alone_are_made_for_devices_that_finish_checksums) {
  const Whole whole = whole_of({.seq = 5, .flags = {.ack = true}}, 2000, 1460);
  const Segmentation plan(whole.request, static_cast<std::uint32_t>(whole.frame.size()));
  Bytes packet(whole.frame.begin(), whole.frame.begin() + whole.request.header_bytes);
  make_piece_header(packet, whole.checksum, plan.piece(1));
  packet.insert(packet.end(), whole.frame.begin() + whole.request.header_bytes + 1460,
                whole.frame.end());
  EXPECT_TRUE(wire::parse_tcp_packet(packet, RxChecksum::partial)) << "as another host leaves it";
  complete_checksum(packet, whole.checksum);
  const auto parsed = wire::parse_tcp_packet(packet, RxChecksum::unknown);
  ASSERT_TRUE(parsed) << wire::to_string(parsed.error());
  EXPECT_EQ(parsed->seq, 1465U);
}

TEST(SegmentationDeathTest, asserts_what_is_no_request) {
  EXPECT_DEATH(Segmentation({.header_bytes = 54, .payload_bytes = 0}, 100), "payload_bytes > 0");
  EXPECT_DEATH(Segmentation({.header_bytes = 54, .payload_bytes = 1000}, 54), "frame_bytes");
}

}  // namespace
}  // namespace strictsend::nic
