// SPDX-License-Identifier: Apache-2.0
// Whether, and how far, a port's offer to cut packets is taken up; and what one datagram holds.
#include <gtest/gtest.h>

#include "engine/tx/datagram_builder.hpp"
#include "engine/tx/segmentation.hpp"

namespace strictsend::engine {
namespace {

nic::PortCapabilities cutting_port() {
  return {.max_fragments = 18,
          .max_fragment_bytes = 4096,
          .checksum_offload = true,
          .segmented_bytes_max = 65535,
          .segmented_fragments_max = 18};
}

TEST(SegmentBytesMax, is_all_of_a_packet_where_17_pages_fit) {
  EXPECT_EQ(segment_bytes_max(cutting_port(), false), 65535U - 72);
}

TEST(SegmentBytesMax, is_nothing_for_linear_packets_or_a_port_that_does_not_offer_it) {
  EXPECT_EQ(segment_bytes_max(cutting_port(), true), 0U);
  nic::PortCapabilities port = cutting_port();
  port.checksum_offload = false;
  EXPECT_EQ(segment_bytes_max(port, false), 0U);
  port = cutting_port();
  port.segmented_bytes_max = 0;
  EXPECT_EQ(segment_bytes_max(port, false), 0U);
  port.segmented_bytes_max = 72;
  EXPECT_EQ(segment_bytes_max(port, false), 0U);
}

TEST(SegmentBytesMax, is_what_the_fragments_hold_wherever_in_a_page_it_begins) {
  nic::PortCapabilities port = cutting_port();
  port.segmented_fragments_max = 8;  // a header and seven pages, the first of one byte
  EXPECT_EQ(segment_bytes_max(port, false), 6 * 4096U + 1);
  port.max_fragment_bytes = 4072;  // two for a page
  EXPECT_EQ(segment_bytes_max(port, false), 2 * 4096U + 1);
  port.segmented_fragments_max = 4;
  EXPECT_EQ(segment_bytes_max(port, false), 0U) << "less than two pages";
  port = cutting_port();
  port.segmented_fragments_max = 100;
  port.segmented_bytes_max = 9000;
  EXPECT_EQ(segment_bytes_max(port, false), 9000U - 72);
}

TEST(DatagramLimits, are_those_of_the_packet_and_of_what_is_gathered) {
  const DatagramLimits limits = datagram_limits(cutting_port(), false, 1500);
  EXPECT_EQ(limits.payload_bytes_max(28), 1472U);
  EXPECT_EQ(datagram_limits({.max_fragments = 2, .max_fragment_bytes = 4096}, false, 1500)
                .payload_bytes_max(28),
            1U)
      << "it may begin with a page's last byte";
}

TEST(DatagramLimits, tell_headers_that_just_fit_from_those_that_do_not) {
  // IPv4's smallest MTU: RFC 791 §3.2.
  const DatagramLimits limits = datagram_limits(cutting_port(), false, 68);
  EXPECT_EQ(limits.payload_bytes_max(28 + 40), 0U);
  EXPECT_EQ(limits.payload_bytes_max(28 + 41), std::nullopt);
}

}  // namespace
}  // namespace strictsend::engine
