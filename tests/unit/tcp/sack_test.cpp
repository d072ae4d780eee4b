// SPDX-License-Identifier: Apache-2.0
// Loss with a receiver that tells what it has: RFC 2018, 6675, 6937, 8985.
#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/tcp/story.hpp"

namespace strictsend::tcp {
namespace {

/// 1000-byte packets, a first round trip of 40 ms, no pacer.
StorySetup sacking() {
  StorySetup setup;
  setup.syn_options.sack_permitted = true;
  setup.syn_options.window_scale = std::uint8_t{7};
  setup.peer_window = 60'000;
  setup.config.pacing = false;
  setup.config.congestion = CongestionAlgorithm::reno;
  return setup;
}

/// Established with a round trip of 40 ms.
Story with_round_trip(const StorySetup& setup = sacking()) {
  Story story = Story::from_syn(setup);
  story.take_wire();
  story.at(40).ack(1);
  EXPECT_EQ(story.connection().srtt(), milliseconds(40));
  return story;
}

const SenderCounters& counters(const Story& story) {
  return story.connection().sender().counters();
}

TEST(TcpSack, rfc2018_2_is_agreed_on_only_if_both_want_it) {
  StorySetup setup = sacking();
  EXPECT_TRUE(Story::from_syn(setup).take_wire().at(0).syn_options.sack_permitted);
  setup.config.sack = false;
  EXPECT_FALSE(Story::from_syn(setup).take_wire().at(0).syn_options.sack_permitted);
  setup.config.sack = true;
  setup.syn_options.sack_permitted = false;
  EXPECT_FALSE(Story::from_syn(setup).take_wire().at(0).syn_options.sack_permitted);
}

TEST(TcpSack, rfc6675_5_three_segments_beyond_a_hole_mean_loss) {
  Story story = with_round_trip();
  story.enqueue(10'000);
  story.take_wire();
  story.at(80).sack(1, {{1001, 2001}}).sack(1, {{1001, 3001}}).expect_silence();
  story.sack(1, {{1001, 4001}}).expect({"1:1001 again"});
  EXPECT_EQ(story.connection().sender().phase(), Sender::Phase::recovery);
  story.at(120).ack(10'001).expect_silence();
  EXPECT_EQ(story.connection().sender().phase(), Sender::Phase::open);
  EXPECT_EQ(story.connection().cwnd_bytes(), 5000U);
  EXPECT_EQ(counters(story).fast_retransmits, 1U);
  EXPECT_EQ(counters(story).rto_fires, 0U);
}

TEST(TcpSack, rfc6675_only_the_holes_are_sent_again) {
  Story story = with_round_trip();
  story.enqueue(10'000);
  story.take_wire();
  // 1, 3001 and 6001 are missing.
  story.at(80).sack(1, {{1001, 3001}});
  story.sack(1, {{4001, 6001}, {1001, 3001}});
  story.sack(1, {{7001, 10'001}, {4001, 6001}, {1001, 3001}});
  story.expect({"1:1001 again", "3001:4001 again", "6001:7001 again"});
  story.at(120).ack(10'001).expect_silence();
  EXPECT_EQ(counters(story).retransmitted_bytes, 3000U);
}

TEST(TcpSack, rfc6675_4_sacked_bytes_make_room_for_new_ones_before_loss_is_sure) {
  Story story = with_round_trip();
  story.enqueue(20'000);
  story.take_wire();
  story.at(80).sack(1, {{1001, 2001}}).expect({"10001:11001"});  // RFC 3042
  story.sack(1, {{1001, 3001}}).expect({"11001:12001"});
  EXPECT_EQ(story.connection().sender().in_flight_bytes(), 10'000U);
}

TEST(TcpSack, rfc6937_3_the_window_comes_down_evenly_while_acknowledgements_come) {
  Story story = with_round_trip();
  story.enqueue(100'000);
  story.take_wire();
  story.at(80).sack(1, {{1001, 2001}}).sack(1, {{1001, 3001}});
  story.take_wire();
  story.sack(1, {{1001, 4001}}).expect({"1:1001 again"});
  // Every second acknowledgement lets one out: ssthresh is half of what was in flight.
  std::size_t sent = 0;
  for (std::uint64_t end = 5001; end <= 12'001; end += 1000) {
    story.sack(1, {{1001, end}});
    sent += story.take_wire().size();
  }
  EXPECT_GE(sent, 3U);
  EXPECT_LE(sent, 6U);
  EXPECT_LE(story.connection().sender().in_flight_bytes(),
            story.connection().ssthresh_bytes() + 1000);
}

TEST(TcpSack, rfc6937_3_1_after_heavy_loss_it_grows_back_in_slow_start_no_faster) {
  Story story = with_round_trip();
  story.enqueue(100'000);
  story.take_wire();
  // Of ten only the last two arrive, and then nothing but what was sent again.
  story.at(80).sack(1, {{8001, 9001}}).sack(1, {{8001, 10'001}});
  story.take_wire();
  story.at(95);  // RACK's reordering window of a quarter of the round trip
  EXPECT_EQ(story.connection().sender().phase(), Sender::Phase::recovery);
  const std::size_t first = story.take_wire().size();
  EXPECT_GE(first, 1U);
  story.at(120).sack(1001, {{8001, 10'001}});
  EXPECT_LE(story.take_wire().size(), 3U) << "two for one, and the bound of one more";
}

TEST(TcpSack, rfc8985_6_2_a_segment_sent_later_has_arrived_so_the_earlier_one_is_lost) {
  Story story = with_round_trip();
  story.enqueue(3000);
  story.take_wire();
  story.at(60).enqueue(1000).expect({"3001:4001 psh"});
  // Only one segment tells: not three, but it was sent 20 ms after the one that is missing.
  story.at(80).ack(2001);
  story.at(100).sack(2001, {{3001, 4001}}).expect({"2001:3001 again"});
}

TEST(TcpSack, rfc8985_6_2_a_little_reordering_is_waited_for) {
  Story story = with_round_trip();
  story.enqueue(4000);
  story.take_wire();
  story.at(80).sack(1, {{1001, 2001}}).expect_silence();
  story.at(85).ack(4001).expect_silence();
  EXPECT_EQ(counters(story).retransmissions, 0U);
}

TEST(TcpSack, rfc8985_6_2_the_reordering_timer_ends_the_waiting) {
  Story story = with_round_trip();
  story.enqueue(3000);
  story.take_wire();
  story.at(80).sack(1, {{1001, 2001}}).expect_silence();
  story.at(89).expect_silence();
  story.at(90).expect({"1:1001 again"});  // a quarter of 40 ms
  EXPECT_EQ(counters(story).rto_fires, 0U);
}

TEST(TcpSack, rfc8985_6_2_who_has_seen_reordering_waits_for_three_segments_too) {
  Story story = with_round_trip();
  story.enqueue(4000);
  story.take_wire();
  story.at(80).sack(1, {{3001, 4001}}).ack(4001);  // the others came after the last
  story.enqueue(5000);
  story.take_wire();
  story.at(120).sack(4001, {{5001, 8001}}).expect_silence();
  story.at(129).expect_silence();
  story.at(130).expect({"4001:5001 again"});
}

TEST(TcpSack, rfc8985_6_2_the_longer_wait_ends_after_sixteen_recoveries_by_the_timer_too) {
  Story story = with_round_trip();
  story.enqueue(1000);
  story.take_wire();
  story.at(80).ack(1001).sack(1001, {{1, 1001}});  // a D-SACK: half of 40 ms from now on
  std::uint64_t sent = 1001;
  std::int64_t ms = 100;
  // Whether the first of three is taken for lost after so many milliseconds more than a round trip.
  const auto lost_after = [&](std::int64_t wait) {
    story.at(ms).enqueue(3000);
    story.take_wire();
    story.at(ms + 40).sack(sent, {{sent + 1000, sent + 2000}});
    story.at(ms + 40 + wait);
    const std::vector<SegmentOut> wire = story.take_wire();
    const bool lost = std::any_of(wire.begin(), wire.end(),
                                  [](const SegmentOut& segment) { return segment.retransmission; });
    story.at(ms + 80).ack(sent + 3000);
    story.take_wire();
    sent += 3000;
    ms += 1000;
    return lost;
  };
  EXPECT_FALSE(lost_after(15));
  for (int i = 0; i < 17; ++i) {
    story.at(ms).enqueue(1000);
    story.at(ms + 40).ack(sent + 1000).enqueue(1000);  // a sample ends the back-off
    story.at(ms + 950);
    ASSERT_GE(counters(story).rto_fires, static_cast<std::uint32_t>(i) + 1);
    story.take_wire();
    sent += 2000;
    story.ack(sent);
    ms += 1000;
  }
  EXPECT_TRUE(lost_after(15));
}

TEST(TcpSack, rfc8985_6_2_a_lost_retransmission_is_found_without_the_timer) {
  Story story = with_round_trip();
  story.enqueue(30'000);
  story.take_wire();
  story.at(80).sack(1, {{1001, 4001}});
  EXPECT_EQ(story.take_wire().at(0).stream_offset, 0U);
  story.at(81).sack(1, {{1001, 6001}}).sack(1, {{1001, 10'001}});
  story.take_wire();
  // New data that was sent after the retransmission arrives, the retransmission does not.
  story.at(125).sack(1, {{1001, 12'001}});
  const std::vector<SegmentOut> wire = story.take_wire();
  ASSERT_FALSE(wire.empty());
  EXPECT_EQ(wire[0].stream_offset, 0U);
  EXPECT_TRUE(wire[0].retransmission);
  EXPECT_EQ(counters(story).rto_fires, 0U);
}

TEST(TcpSack, rfc8985_7_2_a_lost_tail_is_probed_after_two_round_trips) {
  Story story = with_round_trip();
  story.enqueue(5000);
  story.take_wire();
  story.at(80).ack(3001);
  story.at(163).expect_silence();
  story.at(164).expect({"4001:5001 psh again"});  // two round trips of 40 ms and a little
  EXPECT_EQ(counters(story).tail_loss_probes, 1U);
  // It tells of the hole before it.
  story.at(204).sack(3001, {{4001, 5001}});
  story.expect({"3001:4001 again"});
  EXPECT_EQ(counters(story).rto_fires, 0U);
}

TEST(TcpSack, rfc8985_7_3_new_data_is_the_better_probe) {
  Story story = with_round_trip();
  story.enqueue(12'000);
  EXPECT_EQ(story.take_wire().size(), 10U);
  story.at(123).expect_silence();
  story.at(124).expect({"10001:11001"});  // one beyond the congestion window
  EXPECT_EQ(counters(story).tail_loss_probes, 1U);
}

TEST(TcpSack, rfc8985_7_3_into_a_full_window_the_last_packet_is_repeated) {
  StorySetup setup = sacking();
  setup.syn_options.window_scale.reset();
  setup.peer_window = 10'000;
  Story story = with_round_trip(setup);
  story.enqueue(10'000);
  story.take_wire();
  story.enqueue(3000).expect_silence();
  story.at(60).sack(1, {});  // a duplicate without any block; it opens nothing
  story.at(123).expect_silence();
  story.at(124).expect({"9001:10001 again"});
}

TEST(TcpSack, rfc8985_7_2_a_lone_segment_is_probed_for_where_the_timer_would_fire) {
  Story story = with_round_trip();
  story.enqueue(500).expect({"1:501 psh"});
  // 2·40 + 200 for a delayed acknowledgement is beyond the time-out of 40 + 200.
  story.at(279).expect_silence();
  story.at(280).expect({"1:501 psh again"});
  EXPECT_EQ(counters(story).tail_loss_probes, 1U);
  EXPECT_EQ(story.connection().cwnd_bytes(), 10'000U);
  story.at(519).expect_silence();
  story.at(520).expect({"1:501 psh again"});
  EXPECT_EQ(counters(story).rto_fires, 1U);
  EXPECT_EQ(story.connection().cwnd_bytes(), 1000U);
}

TEST(TcpSack, rfc8985_7_4_2_a_probe_that_repaired_the_loss_counts_as_congestion) {
  Story story = with_round_trip();
  story.enqueue(10'000);
  story.take_wire();
  story.at(80).ack(9001);
  story.at(400).expect({"9001:10001 psh again"});
  ASSERT_EQ(counters(story).tail_loss_probes, 1U);
  const std::uint32_t before = story.connection().cwnd_bytes();
  story.enqueue(1000).expect({"10001:11001 psh"});
  story.at(440).ack(10'001);
  EXPECT_GE(story.connection().cwnd_bytes(), before) << "both may have arrived";
  story.ack(11'001);  // no word of a duplicate
  EXPECT_LT(story.connection().cwnd_bytes(), before);
  EXPECT_EQ(counters(story).fast_retransmits, 0U);
}

TEST(TcpSack, rfc8985_7_4_2_a_needless_probe_costs_nothing) {
  Story story = with_round_trip();
  story.enqueue(10'000);
  story.take_wire();
  story.at(80).ack(9001);
  story.at(400);
  const std::uint32_t before = story.connection().cwnd_bytes();
  story.enqueue(1000);
  story.at(440).sack(10'001, {{9001, 10'001}}).ack(11'001);
  EXPECT_GE(story.connection().cwnd_bytes(), before);
}

TEST(TcpSack, rfc8985_7_3_a_probe_that_the_port_did_not_take_is_no_more_after_an_answer) {
  Story story = with_round_trip();
  story.enqueue(12'000);
  EXPECT_EQ(story.take_wire().size(), 10U);
  story.without_pump(true);
  story.at(120).ack(10'001, 0);  // the probe was due, but has not left; the window closes
  story.without_pump(false);
  story.enqueue(1).expect_silence();
  EXPECT_EQ(counters(story).tail_loss_probes, 0U);
  story.at(500).expect({"10001:10002"});
  EXPECT_EQ(counters(story).window_probes, 1U);
}

TEST(TcpSack, rfc2018_8_at_a_timeout_what_was_sacked_and_dropped_is_sent_again) {
  Story story = with_round_trip();
  story.enqueue(5000);
  story.take_wire();
  story.at(80).sack(1, {{1001, 5001}});
  story.take_wire();
  story.at(120).ack(1001).expect_silence();  // and no word of what it had: it has reneged
  story.at(5000);
  std::uint64_t again = 0;
  for (const SegmentOut& segment : story.take_wire())
    again = std::max(again, segment.stream_offset + segment.payload_bytes);
  EXPECT_GE(again, 2000U);
  story.ack(5001);
  EXPECT_EQ(story.connection().acked_to(), 5000U);
}

TEST(TcpSack, blocks_of_what_was_never_sent_or_is_empty_are_ignored) {
  Story story = with_round_trip();
  story.enqueue(5000);
  story.take_wire();
  story.at(80);
  story.sack(1, {{7001, 9001}}).sack(1, {{3001, 3001}}).sack(1, {{4001, 2001}});
  story.sack(1, {{1001, 1'000'000}});
  EXPECT_EQ(story.connection().sender().scoreboard().sacked_bytes(), 0U);
  EXPECT_EQ(counters(story).retransmissions, 0U);
}

TEST(TcpSack, rfc2883_4_a_duplicate_told_is_no_arrival) {
  Story story = with_round_trip();
  story.enqueue(5000);
  story.take_wire();
  story.at(80).ack(2001).sack(2001, {{1, 1001}});
  EXPECT_EQ(story.connection().sender().scoreboard().sacked_bytes(), 0U);
  EXPECT_EQ(counters(story).retransmissions, 0U);
}

TEST(TcpSack, rfc3708_3_a_needless_retransmission_gives_the_window_back) {
  Story story = with_round_trip();
  story.enqueue(10'000);
  story.take_wire();
  story.at(80).sack(1, {{1001, 4001}}).expect({"1:1001 again"});
  const std::uint32_t reduced = story.connection().ssthresh_bytes();
  EXPECT_EQ(reduced, 5000U);
  story.at(85).ack(10'001);
  story.at(120).sack(10'001, {{1, 1001}});  // both have arrived
  EXPECT_EQ(counters(story).undone, 1U);
  EXPECT_GE(story.connection().cwnd_bytes(), 10'000U);
}

TEST(TcpSack, rfc3522_3_an_echo_of_the_first_transmission_gives_the_window_back) {
  StorySetup setup = sacking();
  setup.timestamps = true;
  Story story = Story::from_syn(setup);
  story.take_wire();
  story.at(40).ack(1);
  story.enqueue(9880);  // ten packets of 988
  story.take_wire();
  story.at(400);  // the timer, or a probe and the timer
  ASSERT_EQ(counters(story).rto_fires, 1U);
  EXPECT_EQ(story.connection().cwnd_bytes(), 988U);
  SegmentIn late = story.template_segment();
  late.ack = story.own(989);
  late.timestamps->echo = 900'040;
  story.peer(late);
  EXPECT_EQ(counters(story).undone, 1U);
  EXPECT_GE(story.connection().cwnd_bytes(), 9880U);
  EXPECT_EQ(story.connection().sender().phase(), Sender::Phase::open);
}

TEST(TcpSack, a_receiver_that_tears_the_window_costs_no_more_than_its_share_of_runs) {
  StorySetup setup = sacking();
  setup.peer_window = 60'000;
  Story story = with_round_trip(setup);
  story.enqueue(60'000);
  for (int round = 0; round < 6; ++round)
    story.at(80 + 40 * round).ack(story.connection().sent_to() + 1);
  story.take_wire();
  // Blocks of one byte each, everywhere.
  story.enqueue(60'000);
  story.take_wire();
  const std::uint64_t una = story.connection().acked_to() + 1;
  story.at(400);
  for (std::uint64_t i = 0; i < 4000; i += 2)
    story.sack(una, {{una + 5000 + i, una + 5001 + i}});
  story.connection().sender().scoreboard().check();
  story.take_wire();
  story.ack(story.connection().sent_to() + 1);
  EXPECT_EQ(story.connection().sender().scoreboard().sacked_bytes(), 0U);
}

TEST(Scoreboard, what_the_application_limited_is_not_joined_with_what_it_did_not) {
  RunPool pool(1, 0);
  Scoreboard board(pool);
  const SendStamp stamp{.sent_at = Time{5}};
  board.sent_new(1, 100, stamp, true, true);
  board.sent_new(101, 100, stamp, false, false);
  board.sent_again(101, 100, stamp);
  std::vector<bool> limited;
  board.ack_to(201, [&](const auto& run, bool) { limited.push_back(run.application_limited); });
  EXPECT_EQ(limited, (std::vector{true, false}));
}

}  // namespace
}  // namespace strictsend::tcp
