// SPDX-License-Identifier: Apache-2.0
// When the model receiver acknowledges, and with what: the matrix is worth no more than it is.
#include "tests/sim/model_receiver.hpp"

#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace strictsend::tcp {
namespace {

constexpr std::uint32_t full = 1'448;
constexpr Seq server_iss{0xffff'fff0U};  // the stream crosses the wrap at once

class Receiving : public ::testing::Test {
 protected:
  void SetUp() override {
    SegmentOut syn_ack;
    syn_ack.seq = server_iss;
    syn_ack.flags.syn = syn_ack.flags.ack = true;
    syn_ack.timestamps = Timestamps{.value = 1};
    syn_ack.syn_options.sack_permitted = true;
    ASSERT_TRUE(receiver_.receive(syn_ack, now_));
  }

  /// A full segment, the `index`-th of the stream, with that as its timestamp.
  std::optional<SegmentIn> arrives(std::uint32_t index) {
    SegmentOut segment;
    segment.stream_offset = std::uint64_t{index} * full;
    segment.seq = server_iss + static_cast<std::uint32_t>(1 + segment.stream_offset);
    segment.payload_bytes = full;
    segment.timestamps = Timestamps{.value = 100 + index};
    return receiver_.receive(segment, now_);
  }
  static Seq end_of(std::uint32_t segments) { return server_iss + (1 + segments * full); }

  ModelReceiver receiver_{ModelReceiver::Setup{}};
  Time now_{.ns = 5'000'000'000};
};

TEST_F(Receiving, rfc9293_3_8_6_3_every_second_segment_is_acknowledged_at_once) {
  EXPECT_FALSE(arrives(0));
  const auto ack = arrives(1);
  ASSERT_TRUE(ack);
  EXPECT_EQ(ack->ack, end_of(2));
  EXPECT_EQ(receiver_.deadline(), Time::never());
}

TEST_F(Receiving, a_single_segment_is_acknowledged_after_40_ms) {
  EXPECT_FALSE(arrives(0));
  EXPECT_EQ(receiver_.deadline(), now_ + milliseconds(40));
  EXPECT_FALSE(receiver_.on_timer(now_ + milliseconds(39)));
  const auto ack = receiver_.on_timer(now_ + milliseconds(40));
  ASSERT_TRUE(ack);
  EXPECT_EQ(ack->ack, end_of(1));
  EXPECT_EQ(receiver_.deadline(), Time::never());
}

TEST_F(Receiving, rfc5681_4_2_a_gap_is_told_at_once_and_so_is_its_end) {
  EXPECT_FALSE(arrives(0));
  for (const std::uint32_t index : {2U, 3U}) {
    const auto duplicate = arrives(index);
    ASSERT_TRUE(duplicate);
    EXPECT_EQ(duplicate->ack, end_of(1));
  }
  const auto filled = arrives(1);
  ASSERT_TRUE(filled);
  EXPECT_EQ(filled->ack, end_of(4));
  EXPECT_EQ(receiver_.received_bytes(), 4 * full);
  EXPECT_FALSE(arrives(4)) << "back to every second one";
}

TEST_F(Receiving, what_has_come_already_is_acknowledged_at_once_and_counted) {
  arrives(0);
  const auto ack = arrives(0);
  ASSERT_TRUE(ack);
  EXPECT_EQ(ack->ack, end_of(1));
  EXPECT_EQ(receiver_.duplicate_bytes(), full);
  arrives(5);
  arrives(5);
  EXPECT_EQ(receiver_.duplicate_bytes(), 2 * full);
  EXPECT_EQ(receiver_.received_bytes(), full);
}

TEST_F(Receiving, rfc7323_4_3_echoes_the_timestamp_of_the_first_unacknowledged_segment) {
  arrives(0);
  const auto ack = arrives(1);
  ASSERT_TRUE(ack && ack->timestamps);
  EXPECT_EQ(ack->timestamps->echo, 100U) << "the earlier of the two";
  EXPECT_EQ(ack->timestamps->value, 5'000U);
  const auto duplicate = arrives(3);
  ASSERT_TRUE(duplicate && duplicate->timestamps);
  EXPECT_EQ(duplicate->timestamps->echo, 100U) << "not of what lies behind the gap";
}

/// As lists of segments' numbers: {{3, 4}} is [begin of 3, begin of 4).
using Blocks = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

Blocks blocks_of(const std::optional<SegmentIn>& segment) {
  const auto index_of = [](Seq at) { return at.since(server_iss + 1) / full; };
  Blocks blocks;
  if (!segment) return blocks;
  for (const SackBlock& block : segment->sacks)
    blocks.emplace_back(index_of(block.begin), index_of(block.end));
  return blocks;
}

TEST_F(Receiving, rfc2018_4_tells_the_newest_range_first_and_three_beside_timestamps) {
  EXPECT_EQ(blocks_of(arrives(1)), (Blocks{{1, 2}}));
  EXPECT_EQ(blocks_of(arrives(3)), (Blocks{{3, 4}, {1, 2}}));
  EXPECT_EQ(blocks_of(arrives(2)), (Blocks{{1, 4}})) << "joined";
  arrives(6);
  arrives(8);
  EXPECT_EQ(blocks_of(arrives(10)), (Blocks{{10, 11}, {8, 9}, {6, 7}}));
  EXPECT_EQ(blocks_of(arrives(4)), (Blocks{{1, 5}, {10, 11}, {8, 9}}));
  EXPECT_EQ(blocks_of(arrives(0)), (Blocks{{10, 11}, {8, 9}, {6, 7}}));
}

TEST_F(Receiving, rfc2883_4_tells_a_duplicate_once_before_all_else) {
  arrives(0);
  arrives(3);
  EXPECT_EQ(blocks_of(arrives(0)), (Blocks{{0, 1}, {3, 4}})) << "below the acknowledgement";
  EXPECT_EQ(blocks_of(arrives(5)), (Blocks{{5, 6}, {3, 4}})) << "and not again";
  EXPECT_EQ(blocks_of(arrives(3)), (Blocks{{3, 4}, {3, 4}, {5, 6}})) << "within a range";
}

}  // namespace
}  // namespace strictsend::tcp
