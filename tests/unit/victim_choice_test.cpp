// SPDX-License-Identifier: Apache-2.0
#include "pagecache/victim_choice.hpp"

#include <vector>

#include <gtest/gtest.h>

#include "pagecache/preserved_limits.hpp"

namespace strictsend::pagecache {
namespace {

constexpr Time now = Time{} + seconds(1000);
constexpr Duration still_after = milliseconds(100);

Holder holder(std::uint64_t frames, Duration since_progress) {
  return {frames, now - since_progress};
}

std::optional<std::size_t> choose(const std::vector<Holder>& holders) {
  return choose_victim(holders, now, still_after);
}

TEST(VictimChoice, is_nobody_who_holds_nothing) {
  EXPECT_EQ(choose({}), std::nullopt);
  EXPECT_EQ(choose({holder(0, seconds(100))}), std::nullopt);
  EXPECT_EQ(choose({holder(0, seconds(100)), holder(1, Duration{})}), 1U);
}

TEST(VictimChoice, is_first_who_stands_still_however_little_that_one_holds) {
  EXPECT_EQ(choose({holder(100'000, milliseconds(99)), holder(1, milliseconds(100))}), 1U);
}

TEST(VictimChoice, of_those_that_stand_still_is_who_holds_most_for_the_longest) {
  EXPECT_EQ(choose({holder(10, seconds(1)), holder(11, seconds(1))}), 1U);
  EXPECT_EQ(choose({holder(10, seconds(3)), holder(20, seconds(1))}), 0U);
  EXPECT_EQ(choose({holder(10, seconds(1)), holder(10, seconds(1))}), 0U) << "of equals the first";
}

TEST(VictimChoice, spares_a_fast_one_that_holds_much_before_a_slow_one) {
  EXPECT_EQ(choose({holder(5000, microseconds(100)), holder(500, milliseconds(20))}), 1U);
}

TEST(VictimChoice, takes_progress_a_moment_ahead_of_the_clock_for_progress_now) {
  EXPECT_EQ(choose({holder(10, Duration{} - milliseconds(5)), holder(1, milliseconds(1))}), 1U);
}

TEST(VictimChoice, does_not_overflow) {
  const Holder forever{~std::uint64_t{0}, Time{}};
  const auto chosen = choose_victim(std::vector<Holder>{holder(1, seconds(1)), forever},
                                    Time{1LL << 62}, still_after);
  EXPECT_EQ(chosen, 1U);
}

TEST(PreservedLimits, are_derived_where_they_are_not_given) {
  const PreservedLimits limits = preserved_limits({}, 1000, 14'000);
  EXPECT_EQ(limits.frames_max, 8000U);
  EXPECT_EQ(limits.relieve_above, 7000U);
  EXPECT_EQ(limits.frames_per_owner_max, 4000U);
  EXPECT_EQ(limits.look_above, 4000U);
  EXPECT_EQ(limits.look_every, 64U);
  EXPECT_EQ(preserved_limits({}, 1000, 100).frames_per_owner_max, 1000U)
      << "the reserve is for use";
}

TEST(PreservedLimits, are_what_was_asked_for) {
  CacheConfig config;
  config.preserved_bytes_max = 800 * page_bytes;
  config.preserved_bytes_per_owner_max = 10 * page_bytes;
  const PreservedLimits limits = preserved_limits(config, 1000, 14'000);
  EXPECT_EQ(limits.frames_max, 800U);
  EXPECT_EQ(limits.frames_per_owner_max, 10U);
  EXPECT_EQ(limits.look_above, 10U);
  EXPECT_EQ(limits.look_every, 25U);
}

TEST(PreservedLimits, of_a_page_still_lets_one_be_kept) {
  CacheConfig config;
  config.preserved_bytes_max = config.preserved_bytes_per_owner_max = 1;
  const PreservedLimits limits = preserved_limits(config, 10, 10);
  EXPECT_EQ(limits.frames_max, 1U);
  EXPECT_EQ(limits.look_every, 1U);
}

}  // namespace
}  // namespace strictsend::pagecache
