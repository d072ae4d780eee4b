// SPDX-License-Identifier: Apache-2.0
// Sending without loss: windows, probes, pushes.
#include <gtest/gtest.h>

#include "tests/unit/tcp/story.hpp"

namespace strictsend::tcp {
namespace {

TEST(TcpFlow, rfc6928_2_first_flight_is_ten_segments) {
  Story story;
  story.enqueue(100'000);
  const std::vector<SegmentOut> wire = story.take_wire();
  ASSERT_EQ(wire.size(), 10U);
  for (std::size_t i = 0; i < wire.size(); ++i) {
    EXPECT_EQ(wire[i].stream_offset, i * 1000);
    EXPECT_EQ(wire[i].seq, story.own(1 + i * 1000));  // crosses 2^32 after four
    EXPECT_EQ(wire[i].payload_bytes, 1000U);
  }
}

TEST(TcpFlow, rfc9293_3_9_1_2_last_byte_enqueued_is_pushed) {
  Story story;
  story.enqueue(1500);
  story.expect({"1:1001", "1001:1501 psh"});
  story.enqueue(10).expect({"1501:1511 psh"});
}

TEST(TcpFlow, acked_to_and_sent_to_are_stream_offsets) {
  Story story;
  story.enqueue(5000);
  EXPECT_EQ(story.connection().stream_end(), 5000U);
  EXPECT_EQ(story.connection().sent_to(), 5000U);
  EXPECT_EQ(story.connection().acked_to(), 0U);
  story.at(10).ack(3001);
  EXPECT_EQ(story.outcome().acked_to, 3000U);
  EXPECT_EQ(story.connection().acked_to(), 3000U);
}

TEST(TcpFlow, stream_of_more_than_4_gib_keeps_its_offsets) {
  StorySetup setup;
  setup.syn_options = {.mss = std::uint16_t{65000}, .window_scale = std::uint8_t{14}};
  setup.config.mss_bytes = 65000;
  setup.peer_window = 200 << 14;
  Story story(setup);
  const std::uint64_t total = (std::uint64_t{1} << 32) + 12345;
  story.enqueue(total);
  std::uint64_t expected = 0;
  for (std::int64_t ms = 1; story.connection().acked_to() < total; ++ms) {
    for (const SegmentOut& segment : story.take_wire()) {
      ASSERT_EQ(segment.stream_offset, expected);
      expected += segment.payload_bytes;
    }
    ASSERT_GT(expected, story.connection().acked_to());
    story.at(ms).ack(expected + 1);
  }
  EXPECT_EQ(expected, total);
}

TEST(TcpFlow, rfc9293_3_8_6_never_more_than_the_window) {
  StorySetup setup;
  setup.peer_window = 2500;
  Story story(setup);
  story.enqueue(10'000);
  story.expect({"1:1001", "1001:2001"});  // 500 bytes more would be silly
  story.at(10).ack(2001, 1000);
  story.expect({"2001:3001"});
}

TEST(TcpFlow, rfc9293_3_8_6_2_1_half_of_the_largest_window_is_not_silly) {
  StorySetup setup;
  setup.peer_window = 1200;
  Story story(setup);
  story.enqueue(10'000);
  story.expect({"1:1001"});
  story.at(10).ack(1001, 600);
  story.expect({"1001:1601"});
  story.at(20).ack(1601, 500);
  story.expect_silence();
}

TEST(TcpFlow, rfc9293_3_8_6_2_1_override_timeout_ends_sender_side_waiting) {
  StorySetup setup;
  setup.peer_window = 2000;
  Story story(setup);
  story.enqueue(2000).expect({"1:1001", "1001:2001 psh"});
  story.at(10).ack(2001, 300);
  story.enqueue(5000).expect_silence();
  story.at(211).expect_silence();
  story.at(212).expect({"2001:2301"});
  story.at(220).ack(2301, 2000).expect({"2301:3301", "3301:4301"});
}

TEST(TcpFlow, rfc9293_3_8_6_1_zero_window_is_probed_with_one_byte_and_back_off) {
  StorySetup setup;
  setup.peer_window = 2000;
  Story story(setup);
  story.enqueue(5000).expect({"1:1001", "1001:2001"});
  story.at(100).ack(2001, 0).expect_silence();
  // SRTT 12.5 ms after the first sample of 0 ms and one of 100: RTO = 12.5 + 200, doubled each
  // time.
  story.at(312).expect_silence();
  story.at(313).expect({"2001:2002"});
  story.at(320).ack(2001, 0).expect_silence();  // the byte was refused
  story.at(737).expect_silence();
  story.at(738).expect({"2001:2002 again"});
  story.at(750).ack(2001, 0);
  story.at(1588).expect({"2001:2002 again"});
  story.at(1600).ack(2002, 0);  // this one was taken
  story.at(3287).expect_silence();
  EXPECT_EQ(story.connection().acked_to(), 2001U);
  story.ack(2002, 4000).expect({"2002:3002", "3002:4002", "4002:5001 psh"});
  EXPECT_EQ(story.connection().counters().sender.window_probes, 3U);
}

TEST(TcpFlow, rfc9293_3_8_6_1_answered_probes_go_on_for_ever_unless_idle_is_limited) {
  StorySetup setup;
  setup.peer_window = 1000;
  setup.config.idle_timeout = {};
  setup.config.rto_max = seconds(2);
  Story story(setup);
  story.enqueue(5000).expect({"1:1001"});
  story.at(10).ack(1001, 0);
  for (int i = 0; i < 200; ++i) {
    story.at(2100 * (i + 1));
    EXPECT_EQ(story.take_wire().empty(), false);
    story.ack(1001, 0);
  }
  EXPECT_EQ(story.connection().state(), State::established);
  story.ack(1001, 5000);
  EXPECT_EQ(story.connection().sent_to(), 5000U);
}

TEST(TcpFlow, unanswered_probes_end_the_connection) {
  StorySetup setup;
  setup.peer_window = 1000;
  setup.config.idle_timeout = {};
  setup.config.retries_max = 3;
  Story story(setup);
  story.enqueue(5000).expect({"1:1001"});
  story.at(10).ack(1001, 0);
  story.at(60'000);
  EXPECT_EQ(story.connection().close_reason(), CloseReason::timed_out);
  story.expect({"1001:1002", "1001:1002 again", "1001:1002 again", "rst 1001"});
}

TEST(TcpFlow, window_already_closed_when_the_application_enqueues_is_probed_too) {
  Story story;
  story.at(5).ack(1, 0).expect_silence();
  story.at(9000).enqueue(100).expect_silence();
  story.at(9199).expect_silence();  // not at once, whenever the window was closed
  story.at(9201).expect({"1:2"});
}

TEST(TcpFlow, zero_window_probe_of_a_fin) {
  Story story;
  story.at(5).ack(1, 0);
  story.at(6).finish().expect_silence();
  story.at(300).expect({"fin 1"});
  story.at(310).ack(2, 0);
  EXPECT_EQ(story.connection().state(), State::fin_wait_2);
}

TEST(TcpFlow, rfc9293_3_8_6_window_taken_back_under_data_in_flight_is_survived) {
  Story story;
  story.enqueue(4000);
  story.take_wire();
  story.at(10).ack(1001, 0).expect_silence();  // 3000 in flight, all beyond the window now
  story.at(212).expect({"1001:1002 again"});   // the timer: a probe, not three segments
  story.at(220).ack(1001, 3000).expect({"1001:2001 again"});  // one segment: slow start
}

TEST(TcpFlow, rfc9293_3_10_7_4_window_of_an_old_segment_is_not_taken) {
  Story story;
  story.data(1, 100).data(101, 100);
  story.take_wire();
  SegmentIn late = story.template_segment();
  late.seq = story.peers(1);
  late.payload_bytes = 100;
  late.window = 1;
  story.peer(late);
  EXPECT_EQ(story.connection().peer_window_bytes(), 65535U);
}

TEST(TcpFlow, retract_takes_back_what_was_not_sent) {
  StorySetup setup;
  setup.peer_window = 1000;
  Story story(setup);
  story.enqueue(1000).enqueue(3000).expect({"1:1001 psh"});
  story.connection().retract(3000, story.now());
  EXPECT_EQ(story.connection().stream_end(), 1000U);
  story.at(10).ack(1001).expect_silence();
  story.enqueue(10).expect({"1001:1011 psh"});
  EXPECT_DEATH(story.connection().retract(1, story.now()), "assertion failed");
}

TEST(TcpFlow, shortened_segments_leave_the_rest_for_the_next) {
  Story story;
  story.without_pump(true);
  story.enqueue(1500);
  auto first = story.connection().next_segment(story.now());
  ASSERT_TRUE(first);
  first->shorten(596);
  story.connection().sent(*first, story.now());
  const auto second = story.connection().next_segment(story.now());
  ASSERT_TRUE(second);
  EXPECT_EQ(second->stream_offset, 596U);
  EXPECT_EQ(second->payload_bytes, 904U);
  EXPECT_TRUE(second->flags.psh);
}

TEST(TcpFlow, asking_changes_nothing_until_it_is_sent) {
  Story story;
  story.without_pump(true);
  story.enqueue(1500);
  const auto once = story.connection().next_segment(story.now());
  const auto twice = story.connection().next_segment(story.now());
  ASSERT_TRUE(once && twice);
  EXPECT_EQ(once->seq, twice->seq);
  EXPECT_EQ(once->payload_bytes, twice->payload_bytes);
  EXPECT_EQ(story.connection().sent_to(), 0U);
}

}  // namespace
}  // namespace strictsend::tcp
