// SPDX-License-Identifier: Apache-2.0
#include "tests/relay/ecn_mark.hpp"

#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

namespace strictsend::relay {
namespace {

std::vector<std::byte> ethernet(std::uint8_t type_high, std::uint8_t type_low,
                                std::vector<int> payload) {
  std::vector<std::byte> frame(12);
  frame.push_back(std::byte{type_high});
  frame.push_back(std::byte{type_low});
  for (const int value : payload)
    frame.push_back(static_cast<std::byte>(value));
  return frame;
}

/// An IPv4 header with a right checksum for `tos` (0, 1, 2 differ from it in the low bits alone).
std::vector<std::byte> ipv4(int tos) {
  // RFC 1071's sum of this header is 0xb861 when the TOS byte is zero.
  const int sum = 0xb861 - tos;
  return ethernet(0x08, 0x00,
                  {0x45,     tos,        0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
                   sum >> 8, sum & 0xff, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7});
}

unsigned word_sum(const std::vector<std::byte>& frame) {
  unsigned sum = 0;
  for (std::size_t i = 14; i < 34; i += 2)
    sum += std::to_integer<unsigned>(frame[i]) << 8 | std::to_integer<unsigned>(frame[i + 1]);
  while (sum > 0xffff)
    sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

TEST(EcnMark, rfc3168_5_ipv4_keeps_its_checksum_right) {
  for (const int tos : {0x01, 0x02, 0x03}) {
    std::vector<std::byte> frame = ipv4(tos);
    ASSERT_EQ(word_sum(frame), 0xffffU) << "the test's own header";
    ASSERT_TRUE(is_ecn_capable(frame));
    mark_congestion(frame);
    EXPECT_EQ(frame[15], std::byte{0x03});
    EXPECT_EQ(word_sum(frame), 0xffffU) << tos;
  }
}

TEST(EcnMark, rfc3168_5_packets_without_ect_are_not_capable) {
  EXPECT_FALSE(is_ecn_capable(ipv4(0x00)));
  EXPECT_FALSE(is_ecn_capable(ipv4(0xb8))) << "a DSCP is none";
  std::vector<int> ipv6(40);
  ipv6[0] = 0x60;
  EXPECT_FALSE(is_ecn_capable(ethernet(0x86, 0xdd, ipv6)));
}

TEST(EcnMark, ipv6_has_it_in_the_traffic_class) {
  std::vector<int> header(40);
  header[0] = 0x6b;  // DSCP 46, and 10
  header[1] = 0xa5;  // the flow label's first digit is 5
  std::vector<std::byte> frame = ethernet(0x86, 0xdd, header);
  ASSERT_TRUE(is_ecn_capable(frame));
  mark_congestion(frame);
  EXPECT_EQ(frame[14], std::byte{0x6b});
  EXPECT_EQ(frame[15], std::byte{0xb5});
}

TEST(EcnMark, other_and_short_frames_are_left_alone) {
  EXPECT_FALSE(is_ecn_capable(ethernet(0x08, 0x06, std::vector<int>(46, 0xff))));
  EXPECT_FALSE(is_ecn_capable(ethernet(0x08, 0x00, {0x45, 0x03})));
  EXPECT_FALSE(is_ecn_capable({}));
}

}  // namespace
}  // namespace strictsend::relay
