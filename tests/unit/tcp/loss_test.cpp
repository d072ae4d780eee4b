// SPDX-License-Identifier: Apache-2.0
// Loss: the timer, fast retransmit, recovery.
#include <gtest/gtest.h>

#include "tests/unit/tcp/story.hpp"

namespace strictsend::tcp {
namespace {

StorySetup without_limits() {
  StorySetup setup;
  setup.config.idle_timeout = {};
  return setup;
}

TEST(TcpLoss, rfc6298_5_4_timer_repeats_the_earliest_segment_alone) {
  Story story;
  story.enqueue(3000).expect({"1:1001", "1001:2001", "2001:3001 psh"});
  story.at(199).expect_silence();
  story.at(200).expect({"1:1001 again"});
  EXPECT_EQ(story.connection().cwnd_bytes(), 1000U);
  EXPECT_EQ(story.connection().ssthresh_bytes(), 2000U);
}

TEST(TcpLoss, rfc6298_5_5_back_off_doubles_until_the_limit_then_gives_up) {
  StorySetup setup = without_limits();
  setup.config.retries_max = 4;
  setup.config.rto_max = milliseconds(800);
  Story story(setup);
  story.enqueue(500).expect({"1:501 psh"});
  for (const std::int64_t ms : {200, 600, 1400, 2200}) {
    story.at(ms - 1).expect_silence();
    story.at(ms).expect({"1:501 psh again"});
  }
  story.at(2999).expect_silence();
  story.at(3000).expect({"rst 1"});
  EXPECT_TRUE(story.outcome().closed);
  EXPECT_EQ(story.connection().close_reason(), CloseReason::timed_out);
}

TEST(TcpLoss, rfc5681_3_1_after_timeout_go_back_in_slow_start) {
  Story story;
  story.enqueue(10'000);
  story.take_wire();
  story.at(200).expect({"1:1001 again"});
  story.at(210).ack(1001).expect({"1001:2001 again", "2001:3001 again"});
  story.at(220).ack(2001).expect({"3001:4001 again", "4001:5001 again"});
  // The receiver had kept the rest: nothing of that goes out again.
  story.at(230).ack(10'001).expect_silence();
}

TEST(TcpLoss, rfc6298_5_3_new_acknowledgement_restarts_the_timer) {
  Story story;
  story.enqueue(3000);
  story.take_wire();
  story.at(150).ack(1001);
  story.at(368).expect_silence();  // 150 + 18.75 of SRTT + 200
  story.at(369).expect({"1001:2001 again"});
}

TEST(TcpLoss, karn_no_sample_of_what_was_sent_twice) {
  StorySetup setup = without_limits();
  Story story(setup);
  story.enqueue(1000);
  story.at(200);
  const Duration srtt = story.connection().srtt();
  story.at(5000).ack(1001);
  EXPECT_EQ(story.connection().srtt(), srtt);
  EXPECT_GT(story.connection().rto(), milliseconds(200));  // the back-off stays until a sample
}

TEST(TcpLoss, karn_no_sample_of_what_fast_retransmit_sent_twice) {
  Story story;
  story.enqueue(10'000);
  story.take_wire();
  story.at(10).ack(1).ack(1).ack(1).expect({"1:1001 again"});
  const Duration srtt = story.connection().srtt();
  story.at(150).ack(10'001);
  EXPECT_EQ(story.connection().srtt(), srtt);
}

TEST(TcpLoss, rfc7323_4_timestamp_echo_measures_what_was_sent_twice) {
  StorySetup setup;
  setup.timestamps = true;
  Story story(setup);
  story.enqueue(500);
  story.at(200);
  story.take_wire();
  story.at(230);
  SegmentIn ack = story.template_segment();
  ack.ack = story.own(501);
  ack.timestamps->echo = 900'200;  // the second one
  story.peer(ack);
  EXPECT_EQ(story.connection().srtt(), microseconds(3750));  // 7/8·0 + 1/8·30 ms
}

TEST(TcpLoss, rfc3042_first_two_duplicates_let_new_segments_out) {
  Story story;
  story.enqueue(20'000);
  story.take_wire();
  story.at(10).ack(1).expect({"10001:11001"});
  story.ack(1).expect({"11001:12001"});
  EXPECT_EQ(story.connection().cwnd_bytes(), 10'000U);
}

TEST(TcpLoss, rfc5681_3_2_third_duplicate_retransmits) {
  Story story;
  story.enqueue(10'000);
  story.take_wire();
  story.at(10).ack(1).ack(1).expect_silence();
  story.ack(1).expect({"1:1001 again"});
  EXPECT_EQ(story.connection().ssthresh_bytes(), 5000U);
  story.at(20).ack(10'001);
  EXPECT_EQ(story.connection().cwnd_bytes(), 5000U);
  EXPECT_EQ(story.connection().counters().sender.fast_retransmits, 1U);
  EXPECT_EQ(story.connection().counters().sender.rto_fires, 0U);
}

TEST(TcpLoss, rfc5681_3_2_further_duplicates_inflate_the_window) {
  Story story;
  story.enqueue(20'000);
  story.take_wire();
  story.at(10).ack(1).ack(1).ack(1);
  story.take_wire();  // two by limited transmit, one retransmission; 12000 in flight, window 8000
  story.ack(1).ack(1).ack(1).ack(1).expect_silence();
  story.ack(1).expect({"12001:13001"});
}

TEST(TcpLoss, rfc6582_3_2_partial_acknowledgement_retransmits_the_next_hole) {
  Story story;
  story.enqueue(10'000);
  story.take_wire();
  story.at(10).ack(1).ack(1).ack(1).expect({"1:1001 again"});
  story.at(20).ack(3001).expect({"3001:4001 again"});
  story.at(30).ack(7001).expect({"7001:8001 again"});
  story.at(40).ack(10'001).expect_silence();
  EXPECT_EQ(story.connection().counters().sender.fast_retransmits, 1U);
}

TEST(TcpLoss, rfc6582_4_1_duplicates_of_a_recovery_do_not_start_another) {
  Story story;
  story.enqueue(12'000);
  story.take_wire();
  story.at(10).ack(1).ack(1).ack(1);
  story.at(20).ack(10'001);
  story.take_wire();
  const std::uint32_t before = story.connection().counters().sender.fast_retransmits;
  story.at(30).ack(10'001).ack(10'001).ack(10'001);
  EXPECT_EQ(story.connection().counters().sender.fast_retransmits, before);
}

TEST(TcpLoss, rfc5681_2_what_is_no_duplicate) {
  Story story;
  story.enqueue(10'000);
  story.take_wire();
  story.at(10).ack(1, 60'000).ack(1, 50'000).ack(1, 40'000);  // window updates
  story.data(1, 10).data(11, 10).data(21, 10);                // with payload
  EXPECT_EQ(story.connection().counters().sender.duplicate_acks, 0U);
  EXPECT_EQ(story.connection().counters().sender.retransmissions, 0U);
}

TEST(TcpLoss, timer_during_recovery_ends_it) {
  Story story;
  story.enqueue(10'000);
  story.take_wire();
  story.at(10).ack(1).ack(1).ack(1);
  story.take_wire();
  story.at(210).expect({"1:1001 again"});
  EXPECT_EQ(story.connection().cwnd_bytes(), 1000U);
}

TEST(TcpLoss, rfc5681_3_1_slow_start_then_congestion_avoidance) {
  Story story;
  story.enqueue(200'000);
  story.take_wire();
  story.at(10).ack(1).ack(1).ack(1);
  story.at(20).ack(12'001);  // recovered; cwnd is ssthresh, 5000
  std::uint32_t cwnd = story.connection().cwnd_bytes();
  EXPECT_EQ(cwnd, 5000U);
  std::vector<std::uint32_t> steps;
  for (int round = 0; round < 6; ++round) {
    story.at(30 + 10 * round).ack(story.connection().sent_to() + 1);
    steps.push_back(story.connection().cwnd_bytes() - cwnd);
    cwnd = story.connection().cwnd_bytes();
  }
  // One segment a round trip.
  EXPECT_EQ(steps, (std::vector<std::uint32_t>{1000, 1000, 1000, 1000, 1000, 1000}));
}

TEST(TcpLoss, rfc7661_window_that_is_not_used_does_not_grow) {
  Story story;
  for (int i = 0; i < 20; ++i) {
    story.at(10 * (i + 1)).enqueue(1000);
    story.ack(1001 + 1000U * static_cast<unsigned>(i));
  }
  EXPECT_EQ(story.connection().cwnd_bytes(), 10'000U);
}

TEST(TcpLoss, rfc5681_4_1_restart_window_after_idle) {
  Story story;
  story.enqueue(100'000);
  for (int i = 1; story.connection().acked_to() < 100'000; ++i)
    story.at(10 * i).ack(story.connection().sent_to() + 1);
  story.take_wire();
  EXPECT_GT(story.connection().cwnd_bytes(), 10'000U);
  story.at(20'000).enqueue(100'000);
  EXPECT_EQ(story.take_wire().size(), 10U);
  EXPECT_EQ(story.connection().cwnd_bytes(), 10'000U);
}

TEST(TcpLoss, rfc9293_3_10_7_4_optimistic_ack_is_ignored_and_answered) {
  Story story;
  story.enqueue(1000);
  story.take_wire();
  story.ack(5001).expect({"ack 1"});
  EXPECT_EQ(story.connection().acked_to(), 0U);
  EXPECT_EQ(story.connection().cwnd_bytes(), 10'000U);
}

}  // namespace
}  // namespace strictsend::tcp
