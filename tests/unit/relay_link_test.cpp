// SPDX-License-Identifier: Apache-2.0
// The relay's decision in virtual time: when a packet departs, and which do not.
#include "tests/relay/relay_link.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace strictsend::relay {
namespace {

constexpr std::uint32_t packet_bytes = 1250;  // 10'000 bits: 1 ms at 10 Mbit/s
constexpr std::uint64_t ten_mbit = 10'000'000;
constexpr std::uint64_t seed = 7;

Time at(Duration since_start) {
  return Time{} + since_start;
}

Fate offer(RelayLink& link, Duration since_start) {
  return link.offer(packet_bytes, false, at(since_start));
}

TEST(RelayLink, without_any_setting_a_packet_departs_at_once) {
  RelayLink link({}, seed);
  const Fate fate = offer(link, milliseconds(5));
  EXPECT_EQ(fate.kind, Fate::Kind::departs);
  EXPECT_EQ(fate.departs_at, at(milliseconds(5)));
  EXPECT_FALSE(fate.marked);
}

TEST(RelayLink, the_delay_begins_behind_the_last_bit) {
  RelayLink link({.rate_bits_second = ten_mbit, .delay = milliseconds(20)}, seed);
  EXPECT_EQ(offer(link, milliseconds(0)).departs_at, at(milliseconds(21)));
}

TEST(RelayLink, packets_of_a_burst_leave_one_after_the_other) {
  RelayLink link({.rate_bits_second = ten_mbit}, seed);
  for (int i = 1; i <= 4; ++i)
    EXPECT_EQ(offer(link, milliseconds(0)).departs_at, at(milliseconds(i)));
  EXPECT_EQ(link.counters().queued_bytes_max, 4 * packet_bytes);
}

TEST(RelayLink, an_idle_link_saves_up_nothing) {
  RelayLink link({.rate_bits_second = ten_mbit}, seed);
  offer(link, milliseconds(0));
  EXPECT_EQ(offer(link, seconds(1)).departs_at, at(milliseconds(1001)));
  EXPECT_EQ(offer(link, seconds(1)).departs_at, at(milliseconds(1002)));
}

TEST(RelayLink, a_full_queue_takes_no_more_bytes_until_a_packet_has_left) {
  RelayLink link({.rate_bits_second = ten_mbit, .queue_bytes_max = 2 * packet_bytes}, seed);
  EXPECT_EQ(offer(link, milliseconds(0)).kind, Fate::Kind::departs);
  EXPECT_EQ(offer(link, milliseconds(0)).kind, Fate::Kind::departs);
  EXPECT_EQ(offer(link, microseconds(999)).kind, Fate::Kind::overflowed);
  const Fate fate = offer(link, milliseconds(1));
  EXPECT_EQ(fate.kind, Fate::Kind::departs);
  EXPECT_EQ(fate.departs_at, at(milliseconds(3))) << "what overflowed used no time";
  EXPECT_EQ(link.counters().packets_overflowed, 1U);
}

TEST(RelayLink, a_full_queue_takes_no_more_packets) {
  RelayLink link({.rate_bits_second = ten_mbit, .queue_packets_max = 3}, seed);
  std::vector<Fate::Kind> fates;
  for (int i = 0; i < 5; ++i)
    fates.push_back(link.offer(60, false, at({})).kind);
  using enum Fate::Kind;
  EXPECT_EQ(fates, (std::vector{departs, departs, departs, overflowed, overflowed}));
}

TEST(RelayLink, a_queue_smaller_than_a_packet_still_passes_one_at_a_time) {
  RelayLink link({.rate_bits_second = ten_mbit, .queue_bytes_max = 100}, seed);
  EXPECT_EQ(offer(link, milliseconds(0)).kind, Fate::Kind::departs);
  EXPECT_EQ(offer(link, milliseconds(0)).kind, Fate::Kind::overflowed);
  EXPECT_EQ(offer(link, milliseconds(1)).kind, Fate::Kind::departs);
}

TEST(RelayLink, the_share_that_is_lost_is_the_one_asked_for_and_has_used_the_rate) {
  RelayLink link({.rate_bits_second = ten_mbit, .loss_ppm = 30'000}, seed);
  constexpr int packets = 100'000;
  Time last;
  for (int i = 0; i < packets; ++i) {
    const Fate fate = offer(link, milliseconds(0));
    if (fate.kind == Fate::Kind::departs) last = fate.departs_at;
  }
  EXPECT_GT(link.counters().packets_lost, 2'800U);
  EXPECT_LT(link.counters().packets_lost, 3'200U);
  EXPECT_GT(last, at(milliseconds(packets - 100)));
}

TEST(RelayLink, a_packet_that_is_held_up_is_overtaken_and_comes_within_the_limit) {
  RelayLink link({.rate_bits_second = ten_mbit,
                  .delay = milliseconds(10),
                  .reorder_ppm = 100'000,
                  .reorder_delay_max = milliseconds(5)},
                 seed);
  unsigned late = 0;
  unsigned overtaken = 0;
  Time newest;
  for (int i = 0; i < 10'000; ++i) {
    const Time due = at(milliseconds(i + 11));
    const Fate fate = offer(link, milliseconds(i));
    ASSERT_GE(fate.departs_at, due);
    ASSERT_LE(fate.departs_at, due + milliseconds(5) + nanoseconds(1));
    late += fate.departs_at > due ? 1U : 0U;
    overtaken += fate.departs_at < newest ? 1U : 0U;
    newest = std::max(newest, fate.departs_at);
  }
  EXPECT_EQ(late, link.counters().packets_reordered);
  EXPECT_GT(late, 900U);
  EXPECT_LT(late, 1'100U);
  EXPECT_GT(overtaken, 500U);
}

TEST(RelayLink, rfc3168_5_marks_only_ect_packets_and_only_above_the_threshold) {
  RelayLink link({.rate_bits_second = ten_mbit, .ecn_threshold_bytes = 2 * packet_bytes}, seed);
  EXPECT_FALSE(link.offer(packet_bytes, true, at({})).marked);
  EXPECT_FALSE(link.offer(packet_bytes, true, at({})).marked);
  EXPECT_TRUE(link.offer(packet_bytes, true, at({})).marked);
  EXPECT_FALSE(link.offer(packet_bytes, false, at({})).marked);
  EXPECT_FALSE(link.offer(packet_bytes, true, at(milliseconds(10))).marked) << "it has drained";
  EXPECT_EQ(link.counters().packets_marked, 1U);
}

TEST(RelayLink, the_seed_decides_who_is_lost_and_other_settings_do_not_change_it) {
  const auto lost = [](LinkSetup setup, std::uint64_t with_seed) {
    RelayLink link(setup, with_seed);
    std::vector<int> victims;
    for (int i = 0; i < 1'000; ++i)
      if (offer(link, milliseconds(i)).kind == Fate::Kind::lost) victims.push_back(i);
    return victims;
  };
  const LinkSetup plain{.loss_ppm = 50'000};
  LinkSetup slow = plain;
  slow.rate_bits_second = ten_mbit;
  slow.reorder_ppm = 500'000;
  slow.reorder_delay_max = milliseconds(3);
  EXPECT_EQ(lost(plain, 1), lost(plain, 1));
  EXPECT_EQ(lost(plain, 1), lost(slow, 1));
  EXPECT_NE(lost(plain, 1), lost(plain, 2));
}

}  // namespace
}  // namespace strictsend::relay
