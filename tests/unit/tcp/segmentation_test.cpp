// SPDX-License-Identifier: Apache-2.0
// Segments of several packets, which the port cuts: how long they get, and what a loss inside one
// costs.
#include <gtest/gtest.h>

#include "tests/unit/tcp/story.hpp"

namespace strictsend::tcp {
namespace {

/// An MSS of 1000 bytes and a port that cuts up to 64.
StorySetup cutting() {
  StorySetup setup;
  setup.config.segment_bytes_max = 64'999;
  setup.config.pacing = false;  // another story
  return setup;
}

/// A window that limits nothing.
StorySetup cutting_with_a_wide_window() {
  StorySetup setup = cutting();
  setup.syn_options.window_scale = std::uint8_t{10};
  setup.peer_window = 40'000U << 10;
  return setup;
}

TEST(TcpSegmentation, no_segment_takes_more_than_a_quarter_of_the_window) {
  Story story(cutting());
  story.enqueue(100'000);
  story.expect({"1:2001", "2001:4001", "4001:6001", "6001:8001", "8001:10001"});
}

TEST(TcpSegmentation, segments_grow_with_the_congestion_window_and_fill_no_more_than_it) {
  Story story(cutting_with_a_wide_window());
  story.enqueue(10'000'000);
  std::uint32_t longest = 0;
  for (std::int64_t ms = 10; story.connection().acked_to() < 10'000'000; ms += 10) {
    const std::uint64_t flight = story.connection().sent_to() - story.connection().acked_to();
    EXPECT_LE(flight, story.connection().cwnd_bytes());
    std::uint64_t expected = story.connection().sent_to() - flight;
    for (const SegmentOut& segment : story.take_wire()) {
      ASSERT_EQ(segment.stream_offset, expected);
      ASSERT_EQ(segment.seq, story.own(1 + expected));
      ASSERT_LE(segment.payload_bytes, std::max(1000U, story.connection().cwnd_bytes() / 4));
      expected += segment.payload_bytes;
      ASSERT_TRUE(segment.payload_bytes % 1000 == 0 || expected == 10'000'000);
      EXPECT_EQ(segment.mss_bytes, 1000U);
      longest = std::max(longest, segment.payload_bytes);
    }
    // One acknowledgement for every eight packets, as from a receiver that joins them; all of them
    // are taken in before anything is sent, as the engine does with what it receives at once.
    for (std::uint64_t to = story.connection().acked_to(); to < expected;) {
      to = std::min(to + 8000, expected);
      story.without_pump(to < expected);
      story.at(ms).ack(to + 1);
    }
  }
  EXPECT_EQ(longest, 64'000U) << "whole packets only, of what the port takes";
}

/// A story in which the peer's window of 64,000 bytes is full, and limits alone.
Story full_window() {
  StorySetup setup = cutting();
  setup.peer_window = 64'000;
  Story story(setup);
  story.connection().enqueue(1'000'000, story.now());
  for (std::int64_t ms = 10; story.connection().cwnd_bytes() < 100'000; ms += 10)
    story.at(ms).ack(story.connection().sent_to() + 1);
  story.take_wire();
  return story;
}

TEST(TcpSegmentation, new_data_waits_until_an_eighth_of_the_window_is_free) {
  Story story = full_window();
  const std::uint64_t sent = story.connection().sent_to();
  const std::uint64_t acked = story.connection().acked_to();
  ASSERT_EQ(sent - acked, 64'000U);
  for (std::uint64_t i = 1; i < 8; ++i)
    story.ack(1 + acked + i * 1000).expect_silence();
  story.ack(1 + acked + 8000);
  const std::vector<SegmentOut> wire = story.take_wire();
  ASSERT_EQ(wire.size(), 1U);
  EXPECT_EQ(wire[0].stream_offset, sent);
  EXPECT_EQ(wire[0].payload_bytes, 8000U);
}

TEST(TcpSegmentation, the_end_of_the_data_waits_for_no_longer_segment) {
  Story story = full_window();
  const std::uint64_t sent = story.connection().sent_to();
  const std::uint64_t acked = story.connection().acked_to();
  story.connection().retract(story.connection().stream_end() - sent - 1500, story.now());
  story.ack(1 + acked + 1000).expect_silence();
  story.ack(1 + acked + 2000);
  const std::vector<SegmentOut> wire = story.take_wire();
  ASSERT_EQ(wire.size(), 1U);
  EXPECT_EQ(wire[0].payload_bytes, 1500U);
  EXPECT_TRUE(wire[0].flags.psh);
}

TEST(TcpSegmentation, a_duplicate_acknowledgement_ends_the_waiting) {
  Story story = full_window();
  const std::uint64_t acked = story.connection().acked_to();
  story.ack(1 + acked + 5000).expect_silence();
  story.ack(1 + acked + 5000);
  const std::vector<SegmentOut> wire = story.take_wire();
  ASSERT_EQ(wire.size(), 5U);
  for (const SegmentOut& segment : wire)
    EXPECT_EQ(segment.payload_bytes, 1000U);
}

TEST(TcpSegmentation, the_timer_ends_the_waiting) {
  Story story = full_window();
  const std::uint64_t acked = story.connection().acked_to();
  story.ack(1 + acked + 5000).expect_silence();
  story.at(story.now().ns / 1'000'000 + 1000);
  const std::vector<SegmentOut> wire = story.take_wire();
  ASSERT_FALSE(wire.empty());
  EXPECT_EQ(wire[0].stream_offset, acked + 5000);
  EXPECT_TRUE(wire[0].retransmission);
}

TEST(TcpSegmentation, rfc5681_3_1_the_window_grows_although_data_waits_for_a_part_of_it) {
  Story story(cutting_with_a_wide_window());
  story.connection().enqueue(100'000'000, story.now());
  const auto round_trip = [&story] {
    const std::uint64_t end = story.connection().sent_to();
    story.at(story.now().ns / 1'000'000 + 10);
    while (story.connection().acked_to() < end)
      story.ack(1 + std::min(end, story.connection().acked_to() + 2000));
    story.take_wire();
  };
  story.ack(1);
  while (story.connection().cwnd_bytes() < 200'000)
    round_trip();
  const std::uint64_t acked = story.connection().acked_to();
  story.ack(1 + acked).ack(1 + acked).ack(1 + acked);  // something is lost: congestion avoidance
  story.at(story.now().ns / 1'000'000 + 10).ack(story.connection().sent_to() + 1);
  while (story.connection().cwnd_bytes() < story.connection().ssthresh_bytes())
    round_trip();
  const std::uint32_t before = story.connection().cwnd_bytes();
  for (int i = 0; i < 20; ++i)
    round_trip();
  EXPECT_GE(story.connection().cwnd_bytes(), before + 17 * 1000);
  EXPECT_LE(story.connection().cwnd_bytes(), before + 21 * 1000);
}

TEST(TcpSegmentation, rfc9293_3_8_6_never_more_than_the_window_and_nothing_silly) {
  StorySetup setup = cutting();
  setup.peer_window = 8500;
  Story story(setup);
  story.enqueue(100'000);
  story.expect({"1:2001", "2001:4001", "4001:6001", "6001:8001"});  // 500 bytes more would be silly
  story.at(10).ack(8001, 5500);
  story.expect({"8001:9001", "9001:10001", "10001:11001", "11001:12001", "12001:13001"});
}

TEST(TcpSegmentation, rfc9293_3_8_6_2_1_half_of_the_largest_window_is_not_silly) {
  StorySetup setup = cutting();
  setup.peer_window = 1200;
  Story story(setup);
  story.enqueue(10'000).expect({"1:1001"});
  story.at(10).ack(1001, 600).expect({"1001:1601"});
}

TEST(TcpSegmentation, the_end_of_the_data_is_no_whole_packet_and_pushed) {
  Story story(cutting());
  story.enqueue(5500).expect({"1:2001", "2001:4001", "4001:5501 psh"});
  story.enqueue(1500).expect({"5501:7001 psh"});
  story.enqueue(200).expect({"7001:7201 psh"});
}

TEST(TcpSegmentation, fin_goes_with_the_last_segment) {
  Story story(cutting());
  story.connection().enqueue(3500, story.now());
  story.finish().expect({"1:2001", "2001:3501 psh fin"});
  story.at(10).ack(3502);
  EXPECT_EQ(story.connection().state(), State::fin_wait_2);
}

TEST(TcpSegmentation, fin_waits_where_the_window_ends_with_the_data) {
  StorySetup setup = cutting();
  setup.peer_window = 8000;
  Story story(setup);
  story.connection().enqueue(8000, story.now());
  story.finish().expect({"1:2001", "2001:4001", "4001:6001", "6001:8001 psh"});
  story.at(10).ack(8001).expect({"fin 8001"});
}

TEST(TcpSegmentation, a_lost_fin_is_repeated_with_its_packet_alone) {
  Story story(cutting());
  story.connection().enqueue(3500, story.now());
  story.finish();
  story.take_wire();
  story.at(10).ack(3001);  // the last packet is missing, and the FIN with it
  story.at(212).expect({"3001:3501 psh fin again"});
}

TEST(TcpSegmentation, a_packet_lost_inside_a_segment_is_repeated_alone) {
  Story story(cutting());
  story.enqueue(10'000);
  story.take_wire();
  story.at(10).ack(3001);  // of 2001:4001 the first packet came
  story.ack(3001).ack(3001).expect_silence();
  story.ack(3001).expect({"3001:4001 again"});
  story.at(20).ack(10'001).expect_silence();
  EXPECT_EQ(story.connection().counters().sender.retransmissions, 1U);
}

TEST(TcpSegmentation, rfc6582_3_2_partial_acknowledgement_inside_a_segment) {
  Story story(cutting());
  story.enqueue(10'000);
  story.take_wire();
  story.at(10).ack(1).ack(1).ack(1).expect({"1:1001 again"});
  story.at(20).ack(3001).expect({"3001:4001 again"});
  story.at(30).ack(7001).expect({"7001:8001 again"});
  story.at(40).ack(10'001).expect_silence();
  EXPECT_EQ(story.connection().counters().sender.retransmissions, 3U);
}

TEST(TcpSegmentation, rfc5681_3_2_one_answer_to_each_segment_is_enough_for_fast_retransmit) {
  Story story(cutting());
  story.enqueue(10'000);
  ASSERT_EQ(story.take_wire().size(), 5U);
  // The first is lost as a whole; the others are answered once each.
  story.at(10).ack(1).ack(1).ack(1).expect({"1:1001 again"});
  EXPECT_EQ(story.connection().counters().sender.fast_retransmits, 1U);
}

TEST(TcpSegmentation, rfc3042_limited_transmit_lets_single_packets_out) {
  Story story(cutting());
  story.enqueue(20'000);
  story.take_wire();
  story.at(10).ack(1).expect({"10001:11001"});
  story.ack(1).expect({"11001:12001"});
}

TEST(TcpSegmentation, recovery_goes_on_packet_by_packet) {
  Story story(cutting());
  story.enqueue(30'000);
  story.take_wire();
  story.at(10).ack(1).ack(1).ack(1);
  story.take_wire();
  for (int i = 0; i < 5; ++i)
    story.ack(1);
  story.expect({"12001:13001"});
  story.at(20).ack(12'001);
  for (const SegmentOut& segment : story.take_wire())
    EXPECT_EQ(segment.payload_bytes, 1000U) << "a window of two packets";
}

TEST(TcpSegmentation, rfc6298_5_4_after_a_timeout_packet_by_packet) {
  Story story(cutting());
  story.enqueue(30'000);
  story.take_wire();
  story.at(200).expect({"1:1001 again"});
  story.at(210).ack(1001).expect({"1001:2001 again", "2001:3001 again"});
  story.at(220).ack(3001);
  story.expect({"3001:4001 again", "4001:5001 again", "5001:6001 again"});
  // The receiver had kept the rest: new data, in a window of five packets.
  story.at(230).ack(10'001);
  story.expect({"10001:11001", "11001:12001", "12001:13001", "13001:14001"});
}

TEST(TcpSegmentation, rfc9293_3_8_6_1_zero_window_is_probed_and_reopened) {
  StorySetup setup = cutting();
  setup.peer_window = 8000;
  Story story(setup);
  story.enqueue(100'000);
  story.take_wire();
  story.at(100).ack(8001, 0).expect_silence();
  story.at(313).expect({"8001:8002"});
  story.at(320).ack(8001, 8000);
  // One byte of it has been sent before: that packet goes alone.
  story.expect({"8001:9001 again", "9001:11001", "11001:13001", "13001:15001", "15001:16001"});
}

TEST(TcpSegmentation, window_taken_back_under_a_segment_in_flight_is_survived) {
  Story story(cutting());
  story.enqueue(4000).expect({"1:2001", "2001:4001 psh"});
  story.at(10).ack(1001, 0).expect_silence();
  story.at(212).expect({"1001:1002 again"});
  story.at(220).ack(1001, 3000).expect({"1001:2001 again"});
}

TEST(TcpSegmentation, a_peer_with_a_tiny_mss_gets_packets_of_it_one_by_one) {
  StorySetup setup = cutting();
  setup.syn_options.mss = std::uint16_t{511};
  Story story(setup);
  story.enqueue(2000).expect({"1:512", "512:1023", "1023:1534", "1534:2001 psh"});
}

TEST(TcpSegmentation, timestamps_take_their_part_of_every_packet) {
  StorySetup setup = cutting();
  setup.timestamps = true;
  Story story(setup);
  story.enqueue(100'000);
  const std::vector<SegmentOut> wire = story.take_wire();
  ASSERT_EQ(wire.size(), 5U);
  for (const SegmentOut& segment : wire) {
    EXPECT_EQ(segment.mss_bytes, 988U);
    EXPECT_EQ(segment.payload_bytes, 2 * 988U);
    EXPECT_TRUE(segment.timestamps);
  }
}

TEST(TcpSegmentation, each_packet_of_a_segment_measures_the_round_trip) {
  Story story(cutting());
  story.enqueue(2000).expect({"1:2001 psh"});
  story.at(80).ack(1001);
  EXPECT_EQ(story.connection().srtt(), milliseconds(10));  // 7/8·0 + 1/8·80 ms
  story.at(150).ack(2001);
  EXPECT_EQ(story.connection().srtt(), microseconds(27'500));  // 7/8·10 + 1/8·150 ms
}

TEST(TcpSegmentation, karn_no_sample_of_a_segment_of_which_a_packet_was_sent_twice) {
  Story story(cutting());
  story.enqueue(2000);
  story.at(200);
  const Duration srtt = story.connection().srtt();
  story.at(300).ack(2001);
  EXPECT_EQ(story.connection().srtt(), srtt);
}

TEST(TcpSegmentation, less_than_two_packets_is_none_to_cut) {
  StorySetup setup;
  setup.config.segment_bytes_max = 1999;
  Story story(setup);
  story.enqueue(3000).expect({"1:1001", "1001:2001", "2001:3001 psh"});
}

TEST(TcpSegmentation, shortened_segments_leave_the_rest_for_the_next) {
  Story story(cutting());
  story.without_pump(true);
  story.enqueue(3700);
  auto first = story.connection().next_segment(story.now());
  ASSERT_TRUE(first);
  EXPECT_EQ(first->payload_bytes, 2000U);
  EXPECT_TRUE(first->is_several_packets());
  first->shorten(1300);
  story.connection().sent(*first, story.now());
  auto second = story.connection().next_segment(story.now());
  ASSERT_TRUE(second);
  EXPECT_EQ(second->stream_offset, 1300U);
  EXPECT_EQ(second->payload_bytes, 2000U);
  second->shorten(900);
  EXPECT_FALSE(second->is_several_packets());
  story.connection().sent(*second, story.now());
  const auto third = story.connection().next_segment(story.now());
  ASSERT_TRUE(third);
  EXPECT_EQ(third->stream_offset, 2200U);
  EXPECT_EQ(third->payload_bytes, 1500U);
  EXPECT_TRUE(third->flags.psh);
}

}  // namespace
}  // namespace strictsend::tcp
