// SPDX-License-Identifier: Apache-2.0
// ARP and ping as they stand on the wire.
#include <algorithm>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "nic/wire/arp_packet.hpp"
#include "nic/wire/icmp_echo.hpp"
#include "tests/support/captured_packets.hpp"
#include "tests/support/hex.hpp"

namespace strictsend::wire {
namespace {

using test::from_hex;
using Bytes = std::vector<std::byte>;

constexpr nic::MacAddress near{2, 0, 0, 0, 0, 1};
constexpr nic::MacAddress far{2, 0, 0, 0, 0, 2};

ArpPacket captured_question() {
  return {.source_mac = far,
          .destination_mac = broadcast_mac,
          .operation = ArpOperation::request,
          .sender_mac = far,
          .sender = {10, 77, 0, 2},
          .target_mac = {},
          .target = {10, 77, 0, 1}};
}

Bytes emitted(const ArpPacket& packet) {
  Bytes frame(arp_frame_bytes);
  EXPECT_EQ(emit_arp_packet(frame, packet), arp_frame_bytes);
  return frame;
}

Bytes emitted(const IcmpEchoView& echo) {
  Bytes frame(frame_bytes(echo));
  EXPECT_EQ(emit_icmp_echo(frame, echo), frame.size());
  return frame;
}

// ARP.

TEST(ArpPacket, reads_the_kernels_request_and_reply) {
  const auto request = parse_arp_packet(from_hex(test::captured_arp_request));
  ASSERT_TRUE(request) << to_string(request.error());
  EXPECT_EQ(*request, captured_question());

  const auto reply = parse_arp_packet(from_hex(test::captured_arp_reply));
  ASSERT_TRUE(reply) << to_string(reply.error());
  EXPECT_EQ(*reply, (ArpPacket{.source_mac = near,
                               .destination_mac = far,
                               .operation = ArpOperation::reply,
                               .sender_mac = near,
                               .sender = {10, 77, 0, 1},
                               .target_mac = far,
                               .target = {10, 77, 0, 2}}));
}

TEST(ArpPacket, is_emitted_as_the_kernel_does) {
  EXPECT_EQ(emitted(captured_question()), from_hex(test::captured_arp_request));
}

TEST(ArpPacket, ignores_padding_and_refuses_every_truncation) {
  Bytes frame = from_hex(test::captured_arp_request);
  for (std::size_t size = 0; size < frame.size(); ++size) {
    const auto packet = parse_arp_packet(std::span(frame).first(size));
    ASSERT_FALSE(packet) << size;
    EXPECT_EQ(packet.error(),
              size < ethernet_bytes ? ParseError::ethernet_truncated : ParseError::arp_truncated);
  }
  frame.resize(60, std::byte{0xee});
  EXPECT_EQ(parse_arp_packet(frame), captured_question());
}

TEST(ArpPacket, refuses_other_kinds_and_senders_that_no_host_can_be) {
  const auto with = [](std::size_t at, unsigned value) {
    Bytes frame = from_hex(test::captured_arp_request);
    frame.at(at) = static_cast<std::byte>(value);
    const auto packet = parse_arp_packet(frame);
    EXPECT_FALSE(packet) << "accepted with " << value << " at " << at;
    return packet ? ParseError{255} : packet.error();
  };
  EXPECT_EQ(with(13, 0x00), ParseError::not_arp);
  EXPECT_EQ(with(15, 6), ParseError::arp_format) << "IEEE 802 hardware";
  EXPECT_EQ(with(16, 0x86), ParseError::arp_format) << "another protocol";
  EXPECT_EQ(with(18, 8), ParseError::arp_format) << "another MAC length";
  EXPECT_EQ(with(19, 16), ParseError::arp_format) << "another address length";
  EXPECT_EQ(with(21, 0), ParseError::arp_format);
  EXPECT_EQ(with(21, 3), ParseError::arp_format) << "reverse ARP";
  EXPECT_EQ(with(20, 1), ParseError::arp_format) << "operation 257";
  EXPECT_EQ(with(6, 0x03), ParseError::arp_address) << "frame from a group";
  EXPECT_EQ(with(22, 0x03), ParseError::arp_address) << "claim for a group";
  EXPECT_EQ(with(28, 224), ParseError::arp_address);
  EXPECT_EQ(with(28, 127), ParseError::arp_address);
}

TEST(ArpPacket, a_probe_has_no_sender_address_and_is_fine) {
  ArpPacket probe = captured_question();
  probe.sender = {};
  EXPECT_EQ(parse_arp_packet(emitted(probe)), probe);
}

// Ping.

TEST(IcmpEcho, reads_the_kernels_request_and_answers_as_the_kernel_does) {
  const Bytes frame = from_hex(test::captured_echo_request);
  const auto request = parse_icmp_echo(frame);
  ASSERT_TRUE(request) << to_string(request.error());
  EXPECT_EQ(request->kind, EchoKind::request);
  EXPECT_EQ(request->source, (Ipv4Address{10, 77, 0, 2}));
  EXPECT_EQ(request->destination, (Ipv4Address{10, 77, 0, 1}));
  EXPECT_EQ(request->sequence, 1);
  EXPECT_EQ(request->data.size(), 24U);

  const Bytes ours = emitted(echo_reply(*request, request->source_mac));
  const Bytes kernels = from_hex(test::captured_echo_reply);
  ASSERT_EQ(ours.size(), kernels.size());
  // All but the IPv4 header's identification, flags and checksum, which the kernel counts up.
  constexpr std::size_t id_begin = ethernet_bytes + 4;
  constexpr std::size_t ttl_at = ethernet_bytes + 8;
  constexpr std::size_t checksum_at = ethernet_bytes + 10;
  EXPECT_TRUE(std::equal(ours.begin(), ours.begin() + id_begin, kernels.begin()));
  EXPECT_TRUE(
      std::equal(ours.begin() + ttl_at, ours.begin() + checksum_at, kernels.begin() + ttl_at));
  EXPECT_TRUE(
      std::equal(ours.begin() + checksum_at + 2, ours.end(), kernels.begin() + checksum_at + 2));
  ASSERT_TRUE(parse_icmp_echo(ours));
}

TEST(IcmpEcho, any_length_of_data_comes_back) {
  for (const std::size_t size : {0U, 1U, 7U, 56U, 1472U}) {
    Bytes data(size);
    for (std::size_t i = 0; i < size; ++i)
      data[i] = static_cast<std::byte>(i * 7 + 1);
    const IcmpEchoView sent{.source_mac = far,
                            .destination_mac = near,
                            .source = {10, 0, 0, 2},
                            .destination = {10, 0, 0, 1},
                            .identifier = 0xbeef,
                            .sequence = 0x1234,
                            .data = data};
    const Bytes frame = emitted(sent);
    const auto request = parse_icmp_echo(frame);
    ASSERT_TRUE(request) << to_string(request.error());
    const Bytes answer = emitted(echo_reply(*request, far));
    const auto reply = parse_icmp_echo(answer);
    ASSERT_TRUE(reply) << to_string(reply.error());
    EXPECT_EQ(reply->kind, EchoKind::reply);
    EXPECT_EQ(reply->source, sent.destination);
    EXPECT_EQ(reply->destination, sent.source);
    EXPECT_EQ(reply->source_mac, near);
    EXPECT_EQ(reply->destination_mac, far);
    EXPECT_EQ(reply->identifier, 0xbeef);
    EXPECT_EQ(reply->sequence, 0x1234);
    EXPECT_TRUE(std::ranges::equal(reply->data, data));
  }
}

TEST(IcmpEcho, refuses_what_is_broken_or_something_else) {
  const auto refusal = [](const Bytes& frame) {
    const auto echo = parse_icmp_echo(frame);
    EXPECT_FALSE(echo) << "accepted";
    return echo ? ParseError{255} : echo.error();
  };
  const Bytes good = from_hex(test::captured_echo_request);
  constexpr std::size_t icmp_begin = ethernet_bytes + ipv4_bytes_min;
  for (std::size_t at = icmp_begin; at < good.size(); ++at) {
    Bytes flipped = good;
    flipped[at] ^= std::byte{0x10};
    EXPECT_EQ(refusal(flipped), ParseError::icmp_checksum) << at;
  }
  Bytes unreachable = good;
  unreachable[icmp_begin] = std::byte{3};
  unreachable[icmp_begin + 2] = unreachable[icmp_begin + 3] = std::byte{0};
  const std::uint16_t mended = finish_sum(inet_sum(std::span(unreachable).subspan(icmp_begin)));
  unreachable[icmp_begin + 2] = static_cast<std::byte>(mended >> 8);
  unreachable[icmp_begin + 3] = static_cast<std::byte>(mended);
  EXPECT_EQ(refusal(unreachable), ParseError::icmp_type);
  Bytes broadcast = good;
  std::fill_n(broadcast.begin(), 6, std::byte{0xff});
  EXPECT_EQ(refusal(broadcast), ParseError::group_address);
  EXPECT_EQ(refusal(from_hex(test::captured_datagram)), ParseError::other_protocol);
}

}  // namespace
}  // namespace strictsend::wire
