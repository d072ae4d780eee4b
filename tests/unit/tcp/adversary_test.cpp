// SPDX-License-Identifier: Apache-2.0
// Peers, routers and busy ports that do the worst they can at the worst moment.
#include <gtest/gtest.h>

#include "engine/transport/tcp/syn_cookie.hpp"
#include "tests/unit/tcp/story.hpp"

namespace strictsend::tcp {
namespace {

/// 1000-byte packets, SACK, no pacer.
StorySetup sacking() {
  StorySetup setup;
  setup.syn_options.sack_permitted = true;
  setup.config.pacing = false;
  return setup;
}

/// Established with a round trip of 40 ms.
Story with_round_trip(const StorySetup& setup) {
  Story story = Story::from_syn(setup);
  story.take_wire();
  story.at(40).ack(1);
  return story;
}

Story& echo(Story& story, std::uint64_t number) {
  SegmentIn ack = story.template_segment();
  ack.ack = story.own(number);
  ack.flags.ece = true;
  return story.peer(ack);
}

const SenderCounters& counters(const Story& story) {
  return story.connection().sender().counters();
}

TEST(TcpAdversary, a_fin_that_is_lost_behind_a_window_taken_back_goes_once) {
  Story story = with_round_trip(sacking());
  story.enqueue(5000).finish();
  story.take_wire();
  story.at(400);  // the probe, then a time-out: all is lost, and only the first packet goes again
  story.take_wire();
  // All but the first packet and the FIN has arrived, and there is no room for anything.
  SegmentIn ack = story.template_segment();
  ack.sacks.add({story.own(1001), story.own(5001)});
  ack.window = 0;
  story.peer(ack);
  EXPECT_LE(story.take_wire().size(), 1U);
}

TEST(TcpAdversary, a_probe_that_waits_for_the_port_survives_a_window_that_closes) {
  Story story = with_round_trip(sacking());
  story.enqueue(30'000);
  story.take_wire();
  story.without_pump(true);  // the port is busy when the tail loss probe becomes due
  story.at(130).ack(10'001, 0);
  story.without_pump(false);
  story.consume(0).expect_silence();
}

TEST(TcpAdversary, a_fin_as_probe_that_waits_for_the_port_survives_a_window_that_closes) {
  Story story = with_round_trip(sacking());
  story.enqueue(2000);
  story.take_wire();
  story.without_pump(true);
  story.at(130).finish();
  story.ack(2001, 0);
  story.without_pump(false);
  story.consume(0).expect_silence();
}

TEST(TcpAdversary,
     rfc3168_6_1_2_one_mark_reduces_once_although_the_last_acknowledgement_echoes_it) {
  StorySetup setup = sacking();
  setup.syn_asks_for_ecn = true;
  Story story = with_round_trip(setup);
  story.enqueue(10'000);
  // CE was on the first; the peer echoes until it sees CWR, which only new data could bring.
  story.at(80);
  for (std::uint64_t end = 2001; end <= 10'001; end += 2000)
    echo(story, end);
  EXPECT_EQ(counters(story).ecn_reductions, 1U);
  EXPECT_EQ(story.connection().cwnd_bytes(), 8000U);
}

TEST(TcpAdversary, rfc3168_6_1_2_a_loss_is_answered_with_cwr_too_and_a_mark_in_it_costs_no_more) {
  StorySetup setup = sacking();
  setup.syn_asks_for_ecn = true;
  Story story = with_round_trip(setup);
  story.enqueue(100'000);
  story.take_wire();
  story.at(80);
  for (std::uint64_t end = 2001; end <= 10'001; end += 1000) {
    SegmentIn ack = story.template_segment();
    ack.sacks.add({story.own(1001), story.own(end)});
    ack.flags.ece = end > 5001;  // one behind the lost one was marked
    story.peer(ack);
  }
  int answers = 0;
  for (const SegmentOut& segment : story.take_wire())
    answers += segment.flags.cwr ? 1 : 0;
  EXPECT_EQ(answers, 1);
  echo(story.at(120), 12'001);  // all that went before CWR
  EXPECT_EQ(counters(story).fast_retransmits, 1U);
  EXPECT_EQ(counters(story).ecn_reductions, 0U);
}

TEST(TcpAdversary, rfc5927_a_message_that_changes_nothing_lets_nothing_out) {
  Story story = with_round_trip(sacking());
  story.enqueue(10'000);
  story.take_wire();
  story.connection().on_path_mtu(100, story.own(1), story.now());
  story.at(41).consume(0);  // lets it send what it wants
  EXPECT_EQ(story.connection().mss_bytes(), 512U);
  EXPECT_EQ(story.take_wire().size(), 20U);
  const std::uint32_t before = counters(story).retransmissions;
  for (int i = 0; i < 10; ++i) {
    story.connection().on_path_mtu(100, story.own(1), story.now());
    story.at(42 + i).consume(0);
  }
  EXPECT_EQ(counters(story).retransmissions, before);
}

TEST(TcpAdversary, rfc5681_a_path_that_gets_narrower_during_recovery_does_not_forgive_the_loss) {
  Story story = with_round_trip(sacking());
  story.enqueue(10'000);
  story.take_wire();
  story.at(80).sack(1, {{1001, 4001}});
  EXPECT_EQ(story.connection().sender().phase(), Sender::Phase::recovery);
  EXPECT_EQ(story.connection().ssthresh_bytes(), 5000U);
  story.connection().on_path_mtu(900, story.own(1), story.now());
  story.at(120).ack(10'001);
  EXPECT_EQ(story.connection().sender().phase(), Sender::Phase::open);
  EXPECT_LE(story.connection().cwnd_bytes(), 6000U);
}

TEST(TcpAdversary, a_request_long_after_its_cookie_is_no_round_trip) {
  const SynCookies cookies({1, 2});
  const std::array<std::byte, 8> ends{};
  Config config;
  config.receive_buffer_bytes = 4096;
  RunPool runs(1, 8);
  SegmentIn syn;
  syn.seq = Seq(7);
  syn.flags.syn = true;
  syn.syn_options = {
      .mss = std::uint16_t{1460}, .window_scale = std::uint8_t{7}, .sack_permitted = true};
  syn.timestamps = Timestamps{.value = 5000, .echo = 0};
  const Time start{1'000'000'000'000};
  const Seq cookie = cookies.make(ends, syn, start);
  const SegmentOut answer = cookie_answer(config, syn, cookie, 0, start);

  // The acknowledgement got lost; a minute later comes the request.
  const Time later = start + seconds(60);
  SegmentIn request;
  request.seq = syn.seq + 1;
  request.ack = cookie + 1;
  request.flags.ack = true;
  request.window = 500;
  request.payload_bytes = 100;
  request.timestamps = Timestamps{.value = 65'000, .echo = answer.timestamps->value};
  const auto kept = cookies.check(ends, request, later);
  ASSERT_TRUE(kept);
  Connection connection = Connection::accept_cookie(config, *kept, cookie, 0, runs, later);
  EXPECT_TRUE(connection.on_segment(request, later).established);
  EXPECT_LE(connection.rto(), seconds(3));
  EXPECT_LE(connection.srtt(), seconds(1));
}

}  // namespace
}  // namespace strictsend::tcp
