// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include <gtest/gtest.h>

#include "nic/wire/header_template.hpp"
#include "nic/wire/tcp_packet.hpp"
#include "nic/wire/udp_packet.hpp"

namespace strictsend::wire {
namespace {

using nic::RxChecksum;

const FlowAddress flow{.source_mac = {2, 0, 0, 0, 0, 1},
                       .destination_mac = {2, 0, 0, 0, 0, 2},
                       .source = {10, 1, 2, 3},
                       .destination = {192, 168, 250, 251},
                       .source_port = 80,
                       .destination_port = 54321};

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

/// A whole frame with the checksum done in software.
std::vector<std::byte> tcp_frame(const TcpSegmentHeader& header, std::string_view payload) {
  const std::vector<std::byte> data = bytes_of(payload);
  TcpSegmentHeader segment = header;
  segment.payload_bytes = static_cast<std::uint32_t>(data.size());
  std::vector<std::byte> frame(tcp_frame_header_bytes_max);
  frame.resize(TcpHeaderTemplate(flow).emit(frame, segment, inet_sum(data)));
  frame.insert(frame.end(), data.begin(), data.end());
  return frame;
}

TEST(TcpHeaderTemplate, emits_what_the_parser_reads) {
  const TcpSegmentHeader header{
      .seq = 0xfffffff0,
      .ack = 0x01020304,
      .window = 501,
      .flags = {.psh = true, .ack = true},
      .options = {.timestamps = TcpTimestamps{.value = 0xdeadbeef, .echo = 77}}};
  const auto frame = tcp_frame(header, "odd");
  EXPECT_EQ(frame.size(), 14U + 20U + 32U + 3U);

  const auto packet = parse_tcp_packet(frame, RxChecksum::unknown);
  ASSERT_TRUE(packet) << to_string(packet.error());
  EXPECT_EQ(packet->source_mac, flow.source_mac);
  EXPECT_EQ(packet->destination_mac, flow.destination_mac);
  EXPECT_EQ(packet->source, flow.source);
  EXPECT_EQ(packet->destination, flow.destination);
  EXPECT_EQ(packet->source_port, 80);
  EXPECT_EQ(packet->destination_port, 54321);
  EXPECT_EQ(packet->seq, header.seq);
  EXPECT_EQ(packet->ack, header.ack);
  EXPECT_EQ(packet->window, 501);
  EXPECT_EQ(packet->flags, header.flags);
  EXPECT_EQ(packet->options, header.options);
  EXPECT_TRUE(std::ranges::equal(packet->payload, bytes_of("odd")));
}

}  // namespace
}  // namespace strictsend::wire
