// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/unit/tcp/story.hpp"

namespace strictsend::tcp {
namespace {

TEST(TcpClose, rfc9293_3_6_case_1_we_close_first) {
  Story story;
  story.enqueue(1500).finish();
  story.expect({"1:1001", "1001:1501 psh", "fin 1501"});
  EXPECT_EQ(story.connection().state(), State::fin_wait_1);
  story.at(10).ack(1502);
  EXPECT_EQ(story.connection().acked_to(), 1500U);
  EXPECT_EQ(story.connection().state(), State::fin_wait_2);
  story.at(20).fin(1).expect({"ack 2"});
  EXPECT_TRUE(story.outcome().peer_closed);
  EXPECT_EQ(story.connection().state(), State::time_wait);
  story.at(1019);
  EXPECT_EQ(story.connection().state(), State::time_wait);
  story.at(1020);
  EXPECT_TRUE(story.outcome().closed);
  EXPECT_EQ(story.connection().close_reason(), CloseReason::finished);
}

TEST(TcpClose, fin_rides_on_the_last_data_when_it_is_known_in_time) {
  Story story;
  story.without_pump(true);
  story.enqueue(500).finish();
  story.without_pump(false);
  story.at(1).ack(1);
  story.expect({"1:501 psh fin"});
}

TEST(TcpClose, rfc9293_3_6_case_2_peer_closes_first_and_we_go_on_sending) {
  Story story;
  story.data(1, 50).fin(51);
  story.expect({"ack 52"});
  EXPECT_EQ(story.connection().state(), State::close_wait);
  story.enqueue(1000).expect({"1:1001 psh"});
  story.at(10);
  SegmentIn ack = story.template_segment();
  ack.seq = story.peers(52);
  ack.ack = story.own(1001);
  story.peer(ack);
  EXPECT_EQ(story.connection().acked_to(), 1000U);
  story.finish().expect({"fin 1001"});
  EXPECT_EQ(story.connection().state(), State::last_ack);
  ack.ack = story.own(1002);
  story.peer(ack);
  EXPECT_TRUE(story.outcome().closed);
  EXPECT_EQ(story.connection().close_reason(), CloseReason::finished);
}

TEST(TcpClose, rfc9293_3_6_simultaneous_close) {
  Story story;
  story.finish().expect({"fin 1"});
  story.fin(1).expect({"ack 2"});
  EXPECT_EQ(story.connection().state(), State::closing);
  story.at(10).ack(2);
  EXPECT_EQ(story.connection().state(), State::time_wait);
}

TEST(TcpClose, fin_with_the_acknowledgement_of_ours_goes_straight_to_time_wait) {
  Story story;
  story.finish().expect({"fin 1"});
  SegmentIn fin = story.template_segment();
  fin.flags.fin = true;
  fin.ack = story.own(2);
  story.peer(fin).expect({"ack 2"});
  EXPECT_EQ(story.connection().state(), State::time_wait);
}

TEST(TcpClose, rfc9293_3_10_7_4_repeated_fin_restarts_time_wait) {
  Story story;
  story.finish();
  story.ack(2).fin(1);
  story.take_wire();
  story.at(900).fin(1).expect({"ack 2"});
  story.at(1899);
  EXPECT_EQ(story.connection().state(), State::time_wait);
  story.at(1900);
  EXPECT_EQ(story.connection().state(), State::closed);
}

TEST(TcpClose, lost_fin_is_repeated) {
  Story story;
  story.finish().expect({"fin 1"});
  story.at(200).expect({"fin 1 again"});
  story.at(250).ack(2);
  EXPECT_EQ(story.connection().state(), State::fin_wait_2);
}

TEST(TcpClose, request_after_our_close_is_still_delivered) {
  Story story;
  story.finish();
  story.at(10).ack(2).data(1, 100);
  EXPECT_EQ(story.outcome().deliver_bytes, 100U);
}

TEST(TcpClose, fin_ahead_of_a_gap_waits) {
  Story story;
  story.fin(101).expect({"ack 1"});
  EXPECT_EQ(story.connection().state(), State::established);
  story.fin(1, 100).expect({"ack 102"});
  EXPECT_EQ(story.connection().state(), State::close_wait);
}

TEST(TcpClose, fin_needs_no_room_in_the_window) {
  Story story;
  story.data(1, 4000);
  story.take_wire();
  story.fin(4001).expect({"ack 4002"});
  EXPECT_EQ(story.connection().state(), State::close_wait);
}

TEST(TcpClose, finish_twice_is_finish_once) {
  Story story;
  story.finish().finish().expect({"fin 1"});
}

TEST(TcpClose, rfc9293_3_10_5_abort_resets) {
  Story story;
  story.enqueue(1000);
  story.take_wire();
  story.abort().expect({"rst 1001"});
  EXPECT_EQ(story.connection().close_reason(), CloseReason::aborted);
  story.abort().expect_silence();
  story.enqueue(10).finish().expect_silence();  // harmless on a closed one
}

TEST(TcpClose, abort_in_time_wait_is_silent) {
  Story story;
  story.finish().ack(2).fin(1);
  story.take_wire();
  story.abort().expect_silence();
  EXPECT_EQ(story.connection().state(), State::closed);
}

TEST(TcpReset, rfc5961_3_exact_number_closes) {
  Story story;
  story.data(1, 100).rst(101);
  EXPECT_TRUE(story.outcome().closed);
  EXPECT_EQ(story.connection().close_reason(), CloseReason::reset_by_peer);
}

TEST(TcpReset, rfc5961_3_number_in_the_window_is_challenged) {
  Story story;
  story.rst(2).expect({"ack 1"});
  EXPECT_EQ(story.connection().state(), State::established);
  story.rst(3).expect_silence();  // RFC 5961 §7: not in a storm
  story.at(600).rst(3).expect({"ack 1"});
  EXPECT_EQ(story.connection().counters().challenge_acks, 2U);
}

TEST(TcpReset, rfc5961_3_number_outside_the_window_is_dropped) {
  Story story;
  story.rst(5000).rst(0).expect_silence();
  EXPECT_EQ(story.connection().state(), State::established);
}

TEST(TcpReset, rfc5961_4_syn_on_an_established_connection_is_challenged) {
  Story story;
  story.syn(100).expect({"ack 1"});
  story.at(600).syn(50'000).expect({"ack 1"});
  EXPECT_EQ(story.connection().state(), State::established);
}

TEST(TcpReset, rfc5961_5_text_with_an_acknowledgement_long_gone_is_not_taken) {
  StorySetup setup;
  setup.peer_window = 2000;
  Story story(setup);
  story.enqueue(6000);
  story.at(10).ack(2001).at(20).ack(4001).at(30).ack(6001);
  story.take_wire();
  SegmentIn forged = story.template_segment();
  forged.payload_bytes = 10;
  forged.ack = story.own(4000);  // 2001 bytes ago, and no window was ever so large
  story.peer(forged).expect({"ack 1"});
  EXPECT_EQ(story.outcome().deliver_bytes, 0U);
  forged.ack = story.own(4001);
  story.peer(forged);
  EXPECT_EQ(story.outcome().deliver_bytes, 10U);
}

TEST(TcpReset, rfc6191_syn_in_time_wait_may_take_the_place) {
  Story story;
  SegmentIn syn;
  syn.flags.syn = true;
  syn.seq = story.peers(5000);
  EXPECT_FALSE(story.connection().may_be_replaced_by(syn));
  story.finish().ack(2).fin(1);
  EXPECT_TRUE(story.connection().may_be_replaced_by(syn));
  syn.seq = story.peers(1);
  EXPECT_FALSE(story.connection().may_be_replaced_by(syn));
}

TEST(TcpIdle, connection_on_which_nothing_moves_is_reset) {
  Story story;
  story.at(30'000).data(1, 10);
  story.at(89'999);
  EXPECT_EQ(story.connection().state(), State::established);
  story.take_wire();
  story.at(90'000).expect({"rst 1"});
  EXPECT_TRUE(story.outcome().closed);
  EXPECT_EQ(story.connection().close_reason(), CloseReason::idle);
}

TEST(TcpIdle, peer_that_answers_probes_but_never_reads_is_idle) {
  Story story;
  story.ack(1, 0).enqueue(1000);
  for (std::int64_t ms = 100; ms <= 61'000; ms += 100) {
    story.at(ms);
    if (story.connection().state() != State::closed && !story.take_wire().empty()) story.ack(1, 0);
  }
  EXPECT_EQ(story.connection().close_reason(), CloseReason::idle);
}

TEST(TcpIdle, peer_that_takes_a_byte_with_each_probe_is_too_slow) {
  StorySetup setup;
  setup.config.rto_max = seconds(2);
  Story story(setup);
  story.ack(1, 0).enqueue(1000);
  std::uint64_t taken = 0;
  for (std::int64_t ms = 100; ms <= 60'000; ms += 100) {
    story.at(ms);
    if (story.connection().state() != State::closed && !story.take_wire().empty())
      story.ack(1 + ++taken, 0);
  }
  EXPECT_GT(taken, 20U);
  EXPECT_EQ(story.connection().close_reason(), CloseReason::slow);
}

TEST(TcpIdle, peer_that_takes_enough_goes_on_for_as_long_as_it_likes) {
  StorySetup setup;
  setup.config.progress_bytes_min = 10'000;
  Story story(setup);
  story.ack(1, 0).enqueue(100'000);
  std::uint64_t taken = 0;
  for (std::int64_t i = 1; i <= 60; ++i) {
    story.at(5000 * i).ack(1 + taken, 1000);
    taken += 1000;
    story.at(5000 * i + 50).ack(1 + taken, 0);
    story.take_wire();
  }
  EXPECT_EQ(story.connection().state(), State::established);
}

TEST(TcpIdle, what_is_due_in_drops_is_not_slow) {
  Story story;
  for (std::int64_t i = 1; i <= 20; ++i) {
    story.at(10'000 * i).enqueue(10);
    story.take_wire();
    story.at(10'000 * i + 20).ack(1 + 10 * static_cast<std::uint64_t>(i));
  }
  EXPECT_EQ(story.connection().state(), State::established);
}

TEST(TcpIdle, peer_that_vanished_under_a_download_timed_out) {
  Story story;
  story.enqueue(1000);
  story.at(61'000);
  EXPECT_EQ(story.connection().close_reason(), CloseReason::timed_out);
}

TEST(TcpIdle, fin_wait_2_ends_even_without_an_idle_limit) {
  StorySetup setup;
  setup.config.idle_timeout = {};
  Story story(setup);
  story.finish().ack(2);
  story.at(60'000);
  EXPECT_EQ(story.connection().close_reason(), CloseReason::idle);
}

}  // namespace
}  // namespace strictsend::tcp
