// SPDX-License-Identifier: Apache-2.0
#include "nic/dpdk/tx_watchdog.hpp"

#include <array>
#include <optional>
#include <span>
#include <string>

#include <gtest/gtest.h>

namespace strictsend::nic::dpdk {
namespace {

class Watchdog : public testing::Test {
 protected:
  /// Looks every 200 ms while `turn` goes on, for so long or until something is found.
  std::optional<TxWatchdog::Finding> look_for(Duration duration) {
    const Time end = now + duration;
    while (now < end) {
      now = now + milliseconds(200);
      for (TxSight& sight : sights)
        sight.turns += turning ? 1U : 0U;
      if (completing) ++sights[0].completed;
      if (taking) ++sights[0].bursts;
      if (auto found = watchdog.observe(now, link_up, sights)) return found;
    }
    return std::nullopt;
  }
  /// The driver takes these packets.
  void hand_over(std::uint32_t packets) {
    sights[0].outstanding += packets;
    ++sights[0].bursts;
  }
  /// What a reset does: the packets under descriptors come back.
  void reset() {
    watchdog.note_reset(sights);
    const std::uint32_t in_device = sights[0].outstanding - sights[0].staged;
    sights[0].outstanding -= in_device;
    sights[0].completed += in_device;
  }

  Time now{seconds(1000).ns};
  std::array<TxSight, 2> sights{};
  bool turning = true;
  bool completing = false;
  bool taking = false;
  bool link_up = true;
  TxWatchdog watchdog{2, true};
};

TEST_F(Watchdog, leaves_an_idle_and_a_busy_device_alone) {
  EXPECT_FALSE(look_for(seconds(100)));
  hand_over(7);
  completing = true;
  EXPECT_FALSE(look_for(seconds(100)));
}

TEST_F(Watchdog, finds_packets_that_are_not_completed_for_five_seconds) {
  hand_over(7);
  const Time begin = now;
  const auto found = look_for(seconds(100));
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->is_lost);
  EXPECT_EQ(found->why, "queue 0 completes no packet (7 wait) for 5 s although the link is up");
  EXPECT_GE(now - begin, seconds(5));
  EXPECT_LT(now - begin, seconds(6));
}

TEST_F(Watchdog, finds_packets_that_the_driver_does_not_take) {
  sights[1] = {.turns = 1, .bursts = 3, .completed = 9, .outstanding = 1, .staged = 1};
  const auto found = look_for(seconds(6));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->why, "queue 1 takes no packet (1 waits) for 5 s although the link is up");
}

TEST_F(Watchdog, does_not_expect_completions_that_wait_for_more_traffic) {
  watchdog = TxWatchdog(2, false);
  hand_over(7);
  EXPECT_FALSE(look_for(seconds(100)));
  sights[0].outstanding += 2;
  sights[0].staged = 2;
  taking = true;
  EXPECT_FALSE(look_for(seconds(100)));
  taking = false;
  EXPECT_TRUE(look_for(seconds(6)));
}

TEST_F(Watchdog, blames_nobody_for_what_was_not_looked_at) {
  hand_over(1);
  turning = false;
  EXPECT_FALSE(look_for(seconds(100))) << "the queue's thread is held up";
  turning = true;
  EXPECT_FALSE(look_for(seconds(4)));
  now = now + seconds(100);  // the process was
  EXPECT_FALSE(look_for(seconds(4)));
  EXPECT_TRUE(look_for(seconds(2)));
}

TEST_F(Watchdog, calls_a_device_lost_that_three_resets_did_not_help) {
  hand_over(1);
  for (int i = 0; i < 3; ++i) {
    const auto found = look_for(seconds(6));
    ASSERT_TRUE(found);
    EXPECT_FALSE(found->is_lost) << i;
    hand_over(3);
    reset();  // which completes them, and proves nothing
    hand_over(2);
  }
  const auto found = look_for(seconds(6));
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->is_lost);
  EXPECT_NE(found->why.find("3 resets did not help"), std::string::npos) << found->why;
}

TEST_F(Watchdog, counts_resets_anew_after_a_completion) {
  for (int i = 0; i < 10; ++i) {
    hand_over(1);
    const auto found = look_for(seconds(6));
    ASSERT_TRUE(found);
    EXPECT_FALSE(found->is_lost) << i;
    reset();
    hand_over(1);
    ++sights[0].completed;
    --sights[0].outstanding;
    EXPECT_FALSE(look_for(seconds(1)));
  }
}

TEST_F(Watchdog, resets_a_device_without_a_link_less_and_less_often_and_never_gives_it_up) {
  link_up = false;
  hand_over(1);
  Duration before{};
  for (int i = 0; i < 10; ++i) {
    const Time begin = now;
    const auto found = look_for(seconds(1000));
    ASSERT_TRUE(found) << i;
    EXPECT_FALSE(found->is_lost) << i;
    EXPECT_NE(found->why.find("the link is down"), std::string::npos) << found->why;
    EXPECT_GE(now - begin, before);
    before = now - begin;
    reset();
    hand_over(1);
  }
  EXPECT_GE(before, seconds(320));
  EXPECT_LT(before, seconds(322));
  link_up = true;
  EXPECT_FALSE(look_for(seconds(5))) << "it gets its time once the link is there";
  EXPECT_TRUE(look_for(seconds(1)));
}

}  // namespace
}  // namespace strictsend::nic::dpdk
