// SPDX-License-Identifier: Apache-2.0
// SYN-ACKs without state: RFC 4987 §3.6.
#include "engine/transport/tcp/syn_cookie.hpp"

#include <array>
#include <set>

#include <gtest/gtest.h>

#include "tests/unit/tcp/story.hpp"

namespace strictsend::tcp {
namespace {

using Ends = std::array<std::byte, 12>;
constexpr Ends ends{std::byte{10}, std::byte{1}, std::byte{2}, std::byte{3}};
constexpr Time start{1'000'000'000'000};

SegmentIn syn_of(std::uint16_t mss) {
  SegmentIn syn;
  syn.seq = Seq(0xffff'ffff);
  syn.flags.syn = true;
  syn.syn_options = {.mss = mss, .window_scale = std::uint8_t{7}, .sack_permitted = true};
  syn.timestamps = Timestamps{.value = 5000, .echo = 0};
  return syn;
}

SegmentIn ack_of(const SegmentIn& syn, Seq cookie, std::uint32_t our_timestamp) {
  SegmentIn ack;
  ack.seq = syn.seq + 1;
  ack.ack = cookie + 1;
  ack.flags.ack = true;
  ack.window = 500;
  if (syn.timestamps) ack.timestamps = Timestamps{.value = 5100, .echo = our_timestamp};
  return ack;
}

TEST(SynCookie, rfc4987_3_6_the_acknowledgement_brings_back_what_the_syn_asked_for) {
  const SynCookies cookies({1, 2});
  const SegmentIn syn = syn_of(1460);
  const std::uint32_t timestamp = SynCookies::timestamp_for(syn, 1000);
  EXPECT_LE(timestamp, 1000U);
  EXPECT_GT(timestamp, 1000U - 32);
  const auto kept = cookies.check(ends, ack_of(syn, cookies.make(ends, syn, start), timestamp),
                                  start + milliseconds(50));
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->seq, syn.seq);
  EXPECT_EQ(kept->syn_options, syn.syn_options);
  EXPECT_EQ(kept->timestamps->value, 5100U);
}

TEST(SynCookie, without_timestamps_only_the_mss_is_kept) {
  const SynCookies cookies({1, 2});
  SegmentIn syn = syn_of(1460);
  syn.timestamps.reset();
  const auto kept = cookies.check(ends, ack_of(syn, cookies.make(ends, syn, start), 0), start);
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->syn_options.mss, 1460);
  EXPECT_FALSE(kept->syn_options.window_scale);
  EXPECT_FALSE(kept->syn_options.sack_permitted);
}

TEST(SynCookie, the_mss_is_never_more_than_was_offered) {
  const SynCookies cookies({1, 2});
  for (std::uint32_t mss = 64; mss <= 9000; mss += 7) {
    const SegmentIn syn = syn_of(static_cast<std::uint16_t>(mss));
    const auto kept = cookies.check(ends, ack_of(syn, cookies.make(ends, syn, start), 0), start);
    ASSERT_TRUE(kept);
    EXPECT_LE(*kept->syn_options.mss, mss);
  }
}

TEST(SynCookie, timestamps_say_every_scale_and_survive_their_wrap) {
  for (std::uint32_t timestamp : {0U, 5U, 31U, 32U, 0xffff'ffffU, 123'456U}) {
    for (std::uint8_t scale = 0; scale <= 14; ++scale) {
      SegmentIn syn = syn_of(1460);
      syn.syn_options.window_scale = scale;
      const std::uint32_t said = SynCookies::timestamp_for(syn, timestamp);
      EXPECT_EQ(said & 15, scale);
      EXPECT_LT(timestamp - said, 32U);
    }
  }
}

TEST(SynCookie, rfc7323_2_3_a_window_scale_above_14_is_kept_as_14) {
  const SynCookies cookies({1, 2});
  SegmentIn syn = syn_of(1460);
  syn.syn_options.window_scale = std::uint8_t{15};
  const Seq cookie = cookies.make(ends, syn, start);
  const auto kept =
      cookies.check(ends, ack_of(syn, cookie, SynCookies::timestamp_for(syn, 1000)), start);
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->syn_options.window_scale, 14);
}

TEST(SynCookie, others_ends_seconds_minutes_and_numbers_are_refused) {
  const SynCookies cookies({1, 2});
  const SegmentIn syn = syn_of(1460);
  const Seq cookie = cookies.make(ends, syn, start);
  const SegmentIn ack = ack_of(syn, cookie, 0);
  Ends others = ends;
  others[11] = std::byte{1};
  EXPECT_FALSE(cookies.check(others, ack, start));
  EXPECT_FALSE(SynCookies({1, 3}).check(ends, ack, start));
  EXPECT_TRUE(cookies.check(ends, ack, start + seconds(63)));
  EXPECT_FALSE(cookies.check(ends, ack, start + seconds(200)));
  SegmentIn forged = ack;
  forged.seq = forged.seq + 1;
  EXPECT_FALSE(cookies.check(ends, forged, start));
}

TEST(SynCookie, guesses_are_taken_no_more_often_than_the_hash_is_long) {
  const SynCookies cookies({7, 9});
  SegmentIn ack = ack_of(syn_of(1460), Seq(0), 0);
  int taken = 0;
  for (std::uint32_t guess = 0; guess < 400'000; ++guess) {
    ack.ack = Seq(guess * 2'654'435'761U);
    if (cookies.check(ends, ack, start)) ++taken;
  }
  EXPECT_LE(taken, 2);  // 2^24 numbers, of which a sixteenth are young enough
}

TEST(SynCookie, a_connection_goes_on_from_one) {
  const SynCookies cookies({1, 2});
  const SegmentIn syn = syn_of(1460);
  const Seq cookie = cookies.make(ends, syn, start);
  // Our clock stands at a million milliseconds.
  const SegmentIn ack = ack_of(syn, cookie, SynCookies::timestamp_for(syn, 1'000'000));
  const auto kept = cookies.check(ends, ack, start);
  ASSERT_TRUE(kept);
  RunPool runs(1, 16);
  Config config;
  config.receive_buffer_bytes = 4096;
  Connection connection = Connection::accept_cookie(config, *kept, cookie, 0, runs, start);
  const Outcome outcome = connection.on_segment(ack, start);
  EXPECT_TRUE(outcome.established);
  EXPECT_FALSE(outcome.reply);
  EXPECT_EQ(connection.peer_window_bytes(), 500U << 7);
  EXPECT_EQ(connection.srtt(), Duration{}) << "the echo holds options, and may be long ago";
  connection.enqueue(1000, start);
  const auto segment = connection.next_segment(start);
  ASSERT_TRUE(segment);
  EXPECT_EQ(segment->seq, cookie + 1);
  EXPECT_EQ(segment->payload_bytes, 1000U);
}

}  // namespace
}  // namespace strictsend::tcp
