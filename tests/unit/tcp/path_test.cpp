// SPDX-License-Identifier: Apache-2.0
// What the path tells: explicit congestion notification, its MTU, and the pace that it takes.
#include <gtest/gtest.h>

#include "tests/unit/tcp/story.hpp"

namespace strictsend::tcp {
namespace {

StorySetup plain() {
  StorySetup setup;
  setup.config.pacing = false;
  setup.config.congestion = CongestionAlgorithm::reno;
  setup.syn_options.sack_permitted = true;
  return setup;
}

StorySetup with_ecn() {
  StorySetup setup = plain();
  setup.syn_asks_for_ecn = true;
  return setup;
}

const SenderCounters& counters(const Story& story) {
  return story.connection().sender().counters();
}

SegmentIn echoing(const Story& story, std::uint64_t number) {
  SegmentIn ack = story.template_segment();
  ack.ack = story.own(number);
  ack.flags.ece = true;
  return ack;
}

TEST(TcpEcn, rfc3168_6_1_1_a_syn_that_asks_is_answered_with_ece) {
  std::vector<SegmentOut> wire = Story::from_syn(with_ecn()).take_wire();
  ASSERT_EQ(wire.size(), 1U);
  EXPECT_TRUE(wire[0].flags.ece);
  EXPECT_FALSE(wire[0].flags.cwr);
  EXPECT_FALSE(wire[0].ecn_capable);
  EXPECT_FALSE(Story::from_syn(plain()).take_wire().at(0).flags.ece);
  StorySetup off = with_ecn();
  off.config.ecn = false;
  EXPECT_FALSE(Story::from_syn(off).take_wire().at(0).flags.ece);
}

TEST(TcpEcn, rfc3168_6_1_1_1_a_repeated_syn_ack_does_without) {
  Story story = Story::from_syn(with_ecn());
  story.take_wire();
  story.at(1000);
  const std::vector<SegmentOut> wire = story.take_wire();
  ASSERT_EQ(wire.size(), 1U);
  EXPECT_FALSE(wire[0].flags.ece);
  EXPECT_FALSE(story.connection().ecn_on());
}

TEST(TcpEcn, rfc3168_6_1_2_new_data_is_ect_retransmissions_and_acks_are_not) {
  Story story(with_ecn());
  story.enqueue(3000);
  for (const SegmentOut& segment : story.take_wire())
    EXPECT_TRUE(segment.ecn_capable);
  story.at(250);
  const std::vector<SegmentOut> again = story.take_wire();
  ASSERT_FALSE(again.empty());
  EXPECT_TRUE(again[0].retransmission);
  EXPECT_FALSE(again[0].ecn_capable);
  story.data(1, 100).data(101, 100);
  for (const SegmentOut& segment : story.take_wire())
    EXPECT_FALSE(segment.ecn_capable);
}

TEST(TcpEcn, rfc3168_6_1_2_an_echo_reduces_the_window_once_a_round_trip_and_is_answered_with_cwr) {
  Story story(with_ecn());
  story.enqueue(100'000);
  story.take_wire();
  story.at(3).peer(echoing(story, 1001));
  EXPECT_EQ(story.connection().ssthresh_bytes(), 8000U);  // RFC 8511 §3: 0.8 for ECN
  EXPECT_EQ(counters(story).ecn_reductions, 1U);
  for (std::uint64_t number = 2001; number <= 9001; number += 1000)
    story.peer(echoing(story, number));
  EXPECT_EQ(counters(story).ecn_reductions, 1U);
  const std::vector<SegmentOut> wire = story.take_wire();
  ASSERT_FALSE(wire.empty());
  EXPECT_TRUE(wire[0].flags.cwr);
  for (std::size_t i = 1; i < wire.size(); ++i)
    EXPECT_FALSE(wire[i].flags.cwr);
  EXPECT_EQ(counters(story).retransmissions, 0U);
}

TEST(TcpEcn, rfc3168_6_1_3_ce_is_echoed_until_the_peer_says_cwr) {
  Story story(with_ecn());
  SegmentIn marked = story.template_segment();
  marked.seq = story.peers(1);
  marked.payload_bytes = 100;
  marked.congestion_experienced = true;
  story.peer(marked);
  std::vector<SegmentOut> wire = story.take_wire();
  ASSERT_EQ(wire.size(), 1U) << "told at once";
  EXPECT_TRUE(wire[0].flags.ece);
  story.data(101, 100).data(201, 100);
  for (const SegmentOut& segment : story.take_wire())
    EXPECT_TRUE(segment.flags.ece);
  SegmentIn answered = story.template_segment();
  answered.seq = story.peers(301);
  answered.payload_bytes = 100;
  answered.flags.cwr = true;
  story.peer(answered).data(401, 100);
  wire = story.take_wire();
  ASSERT_FALSE(wire.empty());
  EXPECT_FALSE(wire.back().flags.ece);
}

TEST(TcpEcn, an_echo_without_agreement_means_nothing) {
  Story story(plain());
  story.enqueue(10'000);
  story.take_wire();
  story.at(10).peer(echoing(story, 1001));
  EXPECT_EQ(counters(story).ecn_reductions, 0U);
}

TEST(TcpPathMtu, rfc1191_6_3_a_smaller_mtu_cuts_what_is_outstanding_anew) {
  Story story(plain());
  story.enqueue(3000).expect({"1:1001", "1001:2001", "2001:3001 psh"});
  EXPECT_TRUE(story.connection().on_path_mtu(640, story.own(1), story.now()));
  const std::uint32_t cwnd = story.connection().cwnd_bytes();
  story.at(1).ack(1).expect({"1:601 again", "601:1201 again", "1201:1801 again", "1801:2401 again",
                             "2401:3001 psh again"});
  EXPECT_EQ(story.connection().mss_bytes(), 600U);
  EXPECT_EQ(story.connection().cwnd_bytes(), cwnd) << "it was size, not congestion";
}

TEST(TcpPathMtu, rfc5927_4_a_message_about_what_is_not_outstanding_is_not_believed) {
  Story story(plain());
  story.enqueue(3000);
  story.take_wire();
  story.at(10).ack(1001);
  EXPECT_FALSE(story.connection().on_path_mtu(600, story.own(1), story.now()));
  EXPECT_FALSE(story.connection().on_path_mtu(600, story.own(3001), story.now()));
  EXPECT_FALSE(story.connection().on_path_mtu(600, story.own(0x7fff'0000), story.now()));
  EXPECT_EQ(story.connection().mss_bytes(), 1000U);
}

TEST(TcpPathMtu, rfc1191_an_absurd_mtu_stops_at_what_every_path_carries) {
  Story story(plain());
  story.enqueue(3000);
  EXPECT_TRUE(story.connection().on_path_mtu(0, story.own(1), story.now()));
  EXPECT_EQ(story.connection().mss_bytes(), 512U);
  EXPECT_TRUE(story.connection().on_path_mtu(9000, story.own(1), story.now()));
  EXPECT_EQ(story.connection().mss_bytes(), 512U) << "it only ever goes down";
}

TEST(TcpPathMtu, rfc8899_4_3_packets_that_vanish_are_sent_smaller_without_a_message) {
  StorySetup setup = plain();
  setup.syn_options.mss = std::uint16_t{1460};
  setup.config.mss_bytes = 1460;
  setup.config.idle_timeout = {};
  Story story(setup);
  story.enqueue(10'000);
  EXPECT_EQ(story.take_wire().at(0).payload_bytes, 1460U);
  story.at(250);  // one time-out may be loss
  EXPECT_EQ(story.connection().mss_bytes(), 1460U);
  story.at(1000);
  EXPECT_EQ(story.connection().mss_bytes(), 1160U);  // 1200 less 40: RFC 8899 §5.1.2
  EXPECT_EQ(counters(story).mss_reductions, 1U);
  story.take_wire();
  story.ack(1161);
  EXPECT_EQ(story.take_wire().at(0).payload_bytes, 1160U);
}

TEST(TcpPathMtu, rfc8899_5_1_1_after_ten_minutes_the_larger_size_is_tried_again) {
  StorySetup setup = plain();
  setup.config.idle_timeout = {};
  Story story(setup);
  story.enqueue(3000);
  story.connection().on_path_mtu(600, story.own(1), story.now());
  story.at(10).ack(3001);
  story.take_wire();
  EXPECT_EQ(story.connection().mss_bytes(), 560U);
  story.at(601'000).enqueue(1000);
  story.take_wire();
  story.at(601'010).ack(4001);
  EXPECT_EQ(story.connection().mss_bytes(), 1000U);
}

StorySetup paced() {
  StorySetup setup;
  setup.config.congestion = CongestionAlgorithm::reno;
  setup.syn_options.sack_permitted = true;
  setup.syn_options.window_scale = std::uint8_t{7};
  setup.peer_window = 60'000;
  return setup;
}

TEST(TcpPacing, a_window_that_opens_at_once_is_sent_over_the_round_trip) {
  Story story = Story::from_syn(paced());
  story.take_wire();
  story.at(100).ack(1);  // a round trip of 100 ms
  story.enqueue(10'000'000);
  EXPECT_EQ(story.take_wire().size(), 10U) << "RFC 6928: the first window goes as it is";
  for (int round = 2; round <= 4; ++round)
    story.at(100 * round).ack(story.connection().sent_to() + 1);
  story.at(500);
  story.take_wire();
  story.ack(story.connection().sent_to() + 1);
  const std::size_t at_once = story.take_wire().size();
  EXPECT_LE(at_once, 12U);
  story.at(599);
  EXPECT_GT(story.take_wire().size(), 20U);
}

TEST(TcpPacing, what_is_held_back_goes_at_its_time) {
  Story story = Story::from_syn(paced());
  story.take_wire();
  story.at(100).ack(1);
  story.enqueue(10'000'000);
  for (int round = 2; round <= 5; ++round)
    story.at(100 * round).ack(story.connection().sent_to() + 1);
  story.take_wire();
  const Time release = story.connection().release_at();
  ASSERT_NE(release, Time::never());
  EXPECT_GT(release, story.now());
  EXPECT_FALSE(story.connection().next_segment(story.now()));
  EXPECT_TRUE(story.connection().next_segment(release));
}

}  // namespace
}  // namespace strictsend::tcp
