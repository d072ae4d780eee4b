// SPDX-License-Identifier: Apache-2.0
#include "engine/loop/timer_wheel.hpp"

#include <map>
#include <memory>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace strictsend::engine {
namespace {

Time at_ms(std::int64_t ms) {
  return Time{} + milliseconds(ms);
}

struct Wheel {
  TimerWheel wheel{Time{}};
  std::vector<Timer*> fired;

  void advance(Time now) {
    wheel.advance(now, [this](void* owner) { fired.push_back(static_cast<Timer*>(owner)); });
  }
};

TEST(TimerWheel, fires_at_its_time_and_not_before) {
  Wheel w;
  Timer timer{.owner = &timer};
  w.wheel.set(timer, at_ms(5));
  w.advance(Time{} + microseconds(4999));
  EXPECT_TRUE(w.fired.empty());
  w.advance(at_ms(5));
  EXPECT_EQ(w.fired, std::vector{&timer});
  w.advance(at_ms(10'000));
  EXPECT_EQ(w.fired.size(), 1U);
}

TEST(TimerWheel, a_deadline_moved_later_does_not_fire_at_the_old_time) {
  Wheel w;
  Timer timer{.owner = &timer};
  w.wheel.set(timer, at_ms(5));
  w.wheel.set(timer, at_ms(50));
  w.advance(at_ms(49));
  EXPECT_TRUE(w.fired.empty());
  w.advance(at_ms(50));
  EXPECT_EQ(w.fired.size(), 1U);
}

TEST(TimerWheel, a_deadline_moved_earlier_fires_at_the_new_time) {
  Wheel w;
  Timer timer{.owner = &timer};
  w.wheel.set(timer, at_ms(50));
  w.wheel.set(timer, at_ms(5));
  w.advance(at_ms(5));
  EXPECT_EQ(w.fired.size(), 1U);
}

TEST(TimerWheel, a_deadline_beyond_one_turn_waits_for_its_own) {
  Wheel w;
  Timer timer{.owner = &timer};
  w.wheel.set(timer, at_ms(3 * TimerWheel::slots + 7));
  for (std::int64_t ms = 1; ms < 3 * TimerWheel::slots + 7; ms += 100)
    w.advance(at_ms(ms));
  EXPECT_TRUE(w.fired.empty());
  w.advance(at_ms(3 * TimerWheel::slots + 7));
  EXPECT_EQ(w.fired.size(), 1U);
}

TEST(TimerWheel, what_fires_may_clear_and_set_timers_of_the_same_instant) {
  TimerWheel wheel{Time{}};
  Timer a;
  Timer b;
  Timer c;
  int fired = 0;
  for (Timer* timer : {&a, &b, &c}) {
    timer->owner = timer;
    wheel.set(*timer, at_ms(5));
  }
  wheel.advance(at_ms(5), [&](void* owner) {
    ++fired;
    for (Timer* timer : {&a, &b, &c}) {
      if (timer != owner) wheel.clear(*timer);
    }
    wheel.set(*static_cast<Timer*>(owner), at_ms(9));
  });
  EXPECT_EQ(fired, 1);
  wheel.advance(at_ms(9), [&](void*) { ++fired; });
  EXPECT_EQ(fired, 2);
}

TEST(TimerWheel, agrees_with_an_ordered_map_over_random_use) {
  std::mt19937_64 random(7);
  TimerWheel wheel{Time{}};
  std::vector<std::unique_ptr<Timer>> timers;
  std::map<Timer*, Time> expected;
  for (int i = 0; i < 200; ++i) {
    timers.push_back(std::make_unique<Timer>());
    timers.back()->owner = timers.back().get();
  }
  Time now{};
  for (int step = 0; step < 20'000; ++step) {
    Timer& timer = *timers[random() % timers.size()];
    if (random() % 4 == 0) {
      wheel.clear(timer);
      expected.erase(&timer);
    } else {
      const Time at = now + microseconds(static_cast<std::int64_t>(random() % 9'000'000));
      wheel.set(timer, at);
      expected[&timer] = at;
    }
    const Time next = wheel.next_deadline();
    for (const auto& [which, at] : expected)
      ASSERT_LE(next, at + TimerWheel::tick);
    now = now + microseconds(static_cast<std::int64_t>(random() % 30'000));
    wheel.advance(now, [&](void* owner) {
      auto* fired = static_cast<Timer*>(owner);
      ASSERT_TRUE(expected.contains(fired));
      ASSERT_LE(expected[fired], now) << "fired early";
      expected.erase(fired);
    });
    for (const auto& [which, at] : expected)
      ASSERT_GT(at + TimerWheel::tick, now) << "forgotten";
  }
}

/// Sleeps from one deadline to the next. Counts how often it wakes, and how many timers it puts
/// into another slot.
struct Sleeper {
  Wheel w;
  std::vector<Timer> timers;
  std::uint64_t wakes = 0;
  std::uint64_t visits = 0;

  explicit Sleeper(std::size_t count) : timers(count) {
    for (Timer& timer : timers)
      timer.owner = &timer;
  }
  void sleep_until(Time end) {
    while (w.wheel.next_deadline() <= end) {
      std::vector<std::uint32_t> before;
      for (const Timer& timer : timers)
        before.push_back(timer.slot);
      w.advance(w.wheel.next_deadline());
      ++wakes;
      for (std::size_t i = 0; i < timers.size(); ++i)
        if (timers[i].slot != before[i]) ++visits;
    }
  }
};

TEST(TimerWheel, ten_thousand_far_deadlines_cost_few_wakes_and_one_visit_a_turn) {
  Sleeper sleeper(10'000);
  std::mt19937 random(1);
  for (Timer& timer : sleeper.timers)
    sleeper.w.wheel.set(timer, at_ms(60'000 + static_cast<std::int64_t>(random() % 5000)));
  sleeper.sleep_until(at_ms(49'000));
  EXPECT_TRUE(sleeper.w.fired.empty());
  EXPECT_LE(sleeper.wakes, 49'000U / 64 + 1);
  EXPECT_LE(sleeper.visits, sleeper.timers.size() * 13);  // turns of 4 s in 49 s, and one more
  sleeper.w.advance(at_ms(66'000));
  EXPECT_EQ(sleeper.w.fired.size(), sleeper.timers.size());
}

}  // namespace
}  // namespace strictsend::engine
