// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/unit/tcp/story.hpp"

namespace strictsend::tcp {
namespace {

TEST(TcpHandshake, rfc9293_3_5_passive_open) {
  Story story = Story::from_syn();
  EXPECT_EQ(story.connection().state(), State::syn_received);
  const std::vector<SegmentOut> wire = story.take_wire();
  ASSERT_EQ(wire.size(), 1U);
  EXPECT_EQ(wire[0].seq, story.own(0));
  EXPECT_EQ(wire[0].ack, story.peers(1));
  EXPECT_TRUE(wire[0].flags.syn && wire[0].flags.ack);
  story.ack(1);
  EXPECT_TRUE(story.outcome().established);
  EXPECT_EQ(story.connection().state(), State::established);
  story.expect_silence();
}

TEST(TcpHandshake, what_belongs_to_another_answer_of_the_same_syn_is_told_by_its_number) {
  Story story = Story::from_syn();
  SegmentIn segment = story.template_segment();
  segment.flags = {.ack = true};
  segment.ack = story.own(1);
  EXPECT_TRUE(story.connection().may_be_of(segment));
  segment.ack = story.own(0);
  EXPECT_FALSE(story.connection().may_be_of(segment));
  segment.ack = story.own(75'001);  // another engine thread's answer, 300 ms later
  EXPECT_FALSE(story.connection().may_be_of(segment));
  segment.flags = {.rst = true};
  EXPECT_FALSE(story.connection().may_be_of(segment)) << "it may be, but others are asked first";
  segment.flags = {.syn = true};
  EXPECT_TRUE(story.connection().may_be_of(segment)) << "the SYN once more";

  story.ack(1);
  for (const std::uint64_t number : {0U, 1U, 75'001U}) {
    segment.flags = {.ack = true};
    segment.ack = story.own(number);
    EXPECT_TRUE(story.connection().may_be_of(segment)) << "established: there is no other answer";
  }
}

TEST(TcpHandshake, rfc7323_2_2_options_are_answered_only_when_offered) {
  StorySetup plain;
  plain.syn_options = {};
  const SegmentOut bare = Story::from_syn(plain).take_wire().at(0);
  EXPECT_EQ(bare.syn_options.mss, 1000);
  EXPECT_FALSE(bare.syn_options.window_scale || bare.syn_options.sack_permitted || bare.timestamps);

  StorySetup full;
  full.syn_options = {
      .mss = std::uint16_t{1460}, .window_scale = std::uint8_t{7}, .sack_permitted = true};
  full.timestamps = true;
  full.config.receive_buffer_bytes = 200'000;
  const SegmentOut rich = Story::from_syn(full).take_wire().at(0);
  EXPECT_EQ(rich.syn_options.window_scale, 2);  // 65535 << 1 is less than 200000
  EXPECT_TRUE(rich.syn_options.sack_permitted);
  EXPECT_EQ(rich.timestamps, (Timestamps{.value = 900'000, .echo = 7000}));
  EXPECT_EQ(rich.window, 65535);  // the window of a SYN is never scaled
}

TEST(TcpHandshake, rfc9293_3_7_1_effective_mss) {
  StorySetup setup;
  setup.config.mss_bytes = 1460;
  setup.syn_options = {};
  EXPECT_EQ(Story(setup).connection().mss_bytes(), 536U);  // the default of who says nothing
  setup.syn_options.mss = 9000;
  EXPECT_EQ(Story(setup).connection().mss_bytes(), 1460U);
  setup.timestamps = true;
  EXPECT_EQ(Story(setup).connection().mss_bytes(), 1448U);  // RFC 6691: options come off
  setup.syn_options.mss = 1;
  EXPECT_EQ(Story(setup).connection().mss_bytes(), 52U);
}

TEST(TcpHandshake, rfc7323_2_2_peer_window_is_scaled_from_the_first_ack_on) {
  StorySetup setup;
  setup.syn_options.window_scale = 3;
  setup.peer_window = 8000;
  Story story(setup);
  EXPECT_EQ(story.connection().peer_window_bytes(), 8000U);
  story.ack(1, 1001);
  EXPECT_EQ(story.connection().peer_window_bytes(), 8008U);
}

TEST(TcpHandshake, rfc7323_2_3_scale_beyond_14_counts_as_14) {
  StorySetup setup;
  setup.syn_options.window_scale = 200;
  setup.peer_window = 1;
  Story story = Story::from_syn(setup);
  story.ack(1, 1);
  EXPECT_EQ(story.connection().peer_window_bytes(), 1U << 14);
}

TEST(TcpHandshake, rfc9293_3_10_7_4_repeated_syn_gets_the_syn_ack_again) {
  Story story = Story::from_syn();
  story.expect({"syn-ack"});
  story.at(100).syn();
  story.expect({"syn-ack again"});
  EXPECT_EQ(story.connection().counters().sender.rto_fires, 0U);
}

TEST(TcpHandshake, rfc6298_5_5_syn_ack_backs_off_and_gives_up) {
  Story story = Story::from_syn();
  story.expect({"syn-ack"});
  story.at(999).expect_silence();
  story.at(1000).expect({"syn-ack again"});
  story.at(2999).expect_silence();
  story.at(3000).expect({"syn-ack again"});
  story.at(7000).expect({"syn-ack again"});
  story.at(15'000).expect({"syn-ack again"});
  story.at(30'999).expect_silence();
  story.at(31'000).expect({"rst 0"});
  EXPECT_EQ(story.connection().close_reason(), CloseReason::timed_out);
  EXPECT_EQ(story.connection().next_deadline(), Time::never());
}

TEST(TcpHandshake, repeated_syns_do_not_keep_a_half_open_connection_for_ever) {
  Story story = Story::from_syn();
  for (int ms = 100; ms <= 31'000 && story.connection().state() != State::closed; ms += 100)
    story.at(ms).syn();
  EXPECT_EQ(story.connection().close_reason(), CloseReason::timed_out);
}

TEST(TcpHandshake, rfc5681_3_1_initial_window_is_one_segment_after_a_lost_syn_ack) {
  Story story = Story::from_syn();
  story.at(1000).ack(1);
  story.take_wire();
  EXPECT_EQ(story.connection().cwnd_bytes(), 1000U);
  EXPECT_EQ(story.connection().rto(), seconds(3));  // RFC 6298 §5.7: no sample (Karn)
}

TEST(TcpHandshake, rfc9293_3_10_7_4_unacceptable_ack_in_syn_received_is_reset) {
  Story story = Story::from_syn();
  story.expect({"syn-ack"});
  story.ack(500);
  story.expect({"rst 500"});
  EXPECT_EQ(story.connection().state(), State::syn_received);
  story.ack(0);
  story.expect({"rst 0"});
  story.ack(1);
  EXPECT_EQ(story.connection().state(), State::established);
}

TEST(TcpHandshake, rfc9293_3_10_7_4_rst_returns_to_listening) {
  Story story = Story::from_syn();
  story.rst(1);
  EXPECT_TRUE(story.outcome().closed);
  EXPECT_EQ(story.connection().close_reason(), CloseReason::reset_by_peer);
}

TEST(TcpHandshake, request_on_the_ack_of_the_handshake_is_delivered) {
  Story story = Story::from_syn();
  story.expect({"syn-ack"});
  story.data(1, 120);
  EXPECT_TRUE(story.outcome().established);
  EXPECT_EQ(story.outcome().deliver_bytes, 120U);
  story.enqueue(500);
  const std::vector<SegmentOut> wire = story.take_wire();
  ASSERT_EQ(wire.size(), 1U);  // the acknowledgement rides on the response
  EXPECT_EQ(wire[0].ack, story.peers(121));
}

TEST(TcpHandshake, finish_before_it_is_done_sends_the_fin_afterwards) {
  Story story = Story::from_syn();
  story.expect({"syn-ack"});
  story.finish().expect_silence();
  story.ack(1).expect({"fin 1"});
  EXPECT_EQ(story.connection().state(), State::fin_wait_1);
}

TEST(TcpReset, rfc9293_3_10_7_1_segments_of_no_connection) {
  SegmentIn segment;
  segment.seq = Seq(100);
  segment.payload_bytes = 10;
  segment.flags.syn = true;
  const auto reset = reset_for(segment);
  ASSERT_TRUE(reset);
  EXPECT_EQ(reset->seq, Seq(0));
  EXPECT_EQ(reset->ack, Seq(111));
  EXPECT_TRUE(reset->flags.rst && reset->flags.ack);
  segment.flags = {.ack = true};
  segment.ack = Seq(77);
  EXPECT_EQ(reset_for(segment)->seq, Seq(77));
  EXPECT_FALSE(reset_for(segment)->flags.ack);
  segment.flags.rst = true;
  EXPECT_FALSE(reset_for(segment));
}

}  // namespace
}  // namespace strictsend::tcp
