// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/unit/tcp/story.hpp"

namespace strictsend::tcp {
namespace {

TEST(TcpReceive, rfc9293_3_8_6_3_acknowledgement_is_delayed_by_40_ms) {
  Story story;
  story.at(10).data(1, 100).expect_silence();
  EXPECT_EQ(story.outcome().deliver_bytes, 100U);
  story.at(49).expect_silence();
  story.at(50).expect({"ack 101"});
  story.at(500).expect_silence();
}

TEST(TcpReceive, rfc5681_4_2_every_second_segment_is_acknowledged_at_once) {
  Story story;
  story.data(1, 1000).expect_silence();
  story.data(1001, 1000).expect({"ack 2001"});
}

TEST(TcpReceive, rfc5681_4_2_early_segments_are_dropped_with_an_immediate_duplicate) {
  Story story;
  story.data(101, 100).expect({"ack 1"});
  EXPECT_EQ(story.outcome().deliver_bytes, 0U);
  story.data(201, 100).expect({"ack 1"});
  story.data(1, 100);
  EXPECT_EQ(story.outcome().deliver_bytes, 100U);
  EXPECT_EQ(story.connection().counters().out_of_order_segments, 2U);
}

TEST(TcpReceive, rfc9293_3_10_7_4_known_bytes_in_front_are_skipped) {
  Story story;
  story.data(1, 100);
  story.data(51, 100);
  EXPECT_EQ(story.outcome().deliver_skip_bytes, 50U);
  EXPECT_EQ(story.outcome().deliver_bytes, 50U);
  story.expect({"ack 151"});
}

TEST(TcpReceive, rfc9293_3_10_7_4_wholly_known_segment_is_acknowledged) {
  Story story;
  story.data(1, 100);
  story.at(50).expect({"ack 101"});
  story.data(1, 100).expect({"ack 101"});
  EXPECT_EQ(story.outcome().deliver_bytes, 0U);
}

TEST(TcpReceive, rfc9293_3_8_6_window_closes_when_nobody_reads_and_never_shrinks) {
  Story story;  // 4000 bytes
  Seq edge = story.peers(4001);
  std::uint32_t at = 1;
  for (int i = 0; i < 4; ++i) {
    story.data(at, 1000);
    at += 1000;
    for (const SegmentOut& segment : story.take_wire())
      EXPECT_EQ(segment.ack + segment.window, edge);
  }
  story.data(at, 1).expect({"ack 4001"});  // their probe
  EXPECT_EQ(story.outcome().deliver_bytes, 0U);
  story.consume(999).expect_silence();  // opening by less than a segment would be silly
  story.consume(1).expect({"ack 4001"});
  EXPECT_EQ(story.connection().receive_window_bytes(), 1000U);
  story.data(4001, 1000);
  EXPECT_EQ(story.outcome().deliver_bytes, 1000U);
}

TEST(TcpReceive, payload_beyond_the_window_is_cut_off) {
  Story story;
  story.data(1, 5000);
  EXPECT_EQ(story.outcome().deliver_bytes, 4000U);
  story.expect({"ack 4001"});
}

TEST(TcpReceive, probe_of_a_closed_window_still_carries_its_acknowledgement) {
  Story story;
  story.enqueue(1000);
  story.data(1, 4000);
  story.take_wire();
  SegmentIn probe = story.template_segment();
  probe.seq = story.peers(4001);
  probe.payload_bytes = 1;
  probe.ack = story.own(1001);
  story.at(10).peer(probe).expect({"ack 4001"});
  EXPECT_EQ(story.connection().acked_to(), 1000U);
}

TEST(TcpReceive, rfc7323_2_3_large_window_is_announced_scaled) {
  StorySetup setup;
  setup.config.receive_buffer_bytes = 1 << 20;
  setup.syn_options.window_scale = 7;
  Story story(setup);
  story.data(1, 1000).data(1001, 1000);
  const std::vector<SegmentOut> wire = story.take_wire();
  ASSERT_EQ(wire.size(), 1U);
  const std::uint32_t promised = std::uint32_t{wire[0].window} << 5;  // 2^20 >> 4 is 65536
  EXPECT_LE(promised, (1U << 20) - 2000);
  EXPECT_GT(promised, (1U << 20) - 2000 - 32);
}

TEST(TcpReceive, rfc7323_5_3_paws_refuses_old_timestamps) {
  StorySetup setup;
  setup.timestamps = true;
  Story story(setup);
  story.at(100).data(1, 100);
  SegmentIn old = story.template_segment();
  old.seq = story.peers(101);
  old.payload_bytes = 100;
  old.timestamps->value = 6999;
  story.peer(old);
  EXPECT_EQ(story.outcome().deliver_bytes, 0U);
  story.expect({"ack 101"});
  EXPECT_EQ(story.connection().counters().unacceptable_segments, 1U);
}

TEST(TcpReceive, rfc7323_3_2_segment_without_the_agreed_timestamp_is_dropped) {
  StorySetup setup;
  setup.timestamps = true;
  Story story(setup);
  SegmentIn bare = story.template_segment();
  bare.payload_bytes = 10;
  bare.timestamps.reset();
  story.peer(bare);
  EXPECT_EQ(story.outcome().deliver_bytes, 0U);
  story.expect_silence();
}

TEST(TcpReceive, rfc7323_4_3_echo_is_of_the_segment_that_was_waited_for) {
  StorySetup setup;
  setup.timestamps = true;
  Story story(setup);
  story.at(100).data(1, 100);    // TSval 7100, acknowledgement delayed
  story.at(120).data(101, 100);  // TSval 7120
  const std::vector<SegmentOut> wire = story.take_wire();
  ASSERT_EQ(wire.size(), 1U);
  EXPECT_EQ(wire[0].timestamps->echo, 7100U);
  EXPECT_EQ(wire[0].timestamps->value, 900'120U);
}

TEST(TcpReceive, keep_alive_of_the_peer_is_answered_but_not_in_a_storm) {
  Story story;
  SegmentIn probe = story.template_segment();
  probe.seq = story.peers(0);
  story.at(1000).peer(probe).expect({"ack 1"});
  story.at(1001).peer(probe).expect_silence();
  story.at(2000).peer(probe).expect({"ack 1"});
}

}  // namespace
}  // namespace strictsend::tcp
