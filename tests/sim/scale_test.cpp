// SPDX-License-Identifier: Apache-2.0
// Ten thousand connections on one loop, in virtual time. Work is counted, not time; what a segment
// costs by the number of connections is for `./dev bench segment`.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "engine/flow/flow_table.hpp"
#include "tests/support/allocation_count.hpp"
#include "tests/support/discard_engine.hpp"
#include "tests/support/temp_file.hpp"

namespace strictsend::testing {
namespace {

constexpr std::size_t connections = 10'000;
constexpr std::size_t active = 1000;
constexpr std::size_t file_bytes = 1 << 20;

class Scale : public ::testing::Test {
 protected:
  /// Ten thousand that have opened, so many of which are sent to.
  void open(std::size_t served) {
    disk_.write(std::vector<std::byte>(file_bytes, std::byte{7}));
    engine_.emplace(DiscardEngine::Options{.path = disk_.path(),
                                           .connections = connections,
                                           .active = served,
                                           .cache_bytes = 16 << 20});
    // Two packets each: their answers fit into the receive ring, so nothing waits for a time-out.
    engine_->peer().set_window(3);
    memory_bytes_ = engine_->loop().memory_bytes();
    while (engine_->connections_open() < connections) {
      turn(microseconds(100));
      ASSERT_LT(now_, Time{} + seconds(10)) << engine_->connections_open() << " are open";
    }
  }

  void turn(Duration step) {
    now_ = now_ + step;
    const std::uint64_t before = test::allocation_count();
    engine_->poll(now_);
    allocations_ += test::allocation_count() - before;
    engine_->serve();
  }
  /// What each has got that has got anything.
  std::vector<std::uint64_t> received() const {
    std::vector<std::uint64_t> bytes;
    for (std::size_t i = 0; i < connections; ++i) {
      const std::uint64_t got = engine_->peer().payload_bytes(i);
      if (got > 0) bytes.push_back(got);
    }
    return bytes;
  }

  TempFile disk_;
  std::optional<DiscardEngine> engine_;
  Time now_;
  std::uint64_t memory_bytes_ = 0;
  std::uint64_t allocations_ = 0;
};

TEST_F(Scale, a_thousand_active_among_ten_thousand_are_served_alike_from_fixed_memory) {
  open(active);
  std::vector<std::uint64_t> before = received();
  ASSERT_EQ(before.size(), active);
  std::uint64_t least_in_a_span = UINT64_MAX;
  std::uint64_t most_in_a_span = 0;
  for (int span = 0; span < 5; ++span) {
    for (int i = 0; i < 80; ++i)
      turn(microseconds(100));
    const std::vector<std::uint64_t> after = received();
    ASSERT_EQ(after.size(), active);
    for (std::size_t i = 0; i < active; ++i) {
      least_in_a_span = std::min(least_in_a_span, after[i] - before[i]);
      most_in_a_span = std::max(most_in_a_span, after[i] - before[i]);
    }
    before = after;
  }
  // Nobody starves in any span of 80 turns, and nobody gets much more than another.
  EXPECT_GT(least_in_a_span, 0U);
  EXPECT_LE(most_in_a_span, 2 * least_in_a_span);
  EXPECT_EQ(engine_->port().queue(0).counters().rx_dropped, 0U) << "or a peer's answer was lost";
  EXPECT_EQ(engine_->connections_open(), connections);
  EXPECT_EQ(engine_->loop().memory_bytes(), memory_bytes_);
  EXPECT_EQ(allocations_, 0U);
  // Of which 4096 are for what it receives.
  const std::uint64_t each = memory_bytes_ / engine_->loop().flows().size();
  RecordProperty("bytes_per_connection", static_cast<int>(each));
  EXPECT_LE(each, 4096U + 3072U);
}

TEST_F(Scale, the_idle_wake_a_sleeping_loop_a_few_times_a_second) {
  open(0);
  turn(seconds(1));
  int wakes = 0;
  for (const Time end = now_ + seconds(50); now_ < end; ++wakes)
    turn(std::max(engine_->loop().next_deadline() - now_, nanoseconds(1)));
  EXPECT_LT(wakes, 50 * 20);
  EXPECT_EQ(engine_->loop().counters().connections_open.get(), connections);
}

TEST(ScaleOfTheFlowTable, chains_stay_short_whatever_ports_the_peers_choose) {
  engine::FlowTable table(0, connections, 64, {1, 2});
  std::uint32_t longest = 0;
  for (std::size_t i = 0; i < connections; ++i) {
    const engine::FlowKey key{.peer_address = {10, 0, 0, static_cast<std::uint8_t>(i % 4)},
                              .peer_port = static_cast<std::uint16_t>(i / 4 * 8),
                              .local_port = 80};
    ASSERT_NE(table.insert(key), nullptr);
  }
  for (const engine::Flow& flow : table.slots()) {
    std::uint32_t chain = 1;
    for (const engine::Flow* at = flow.hash_next; at != nullptr; at = at->hash_next)
      ++chain;
    longest = std::max(longest, chain);
  }
  EXPECT_LE(longest, 10U);
}

}  // namespace
}  // namespace strictsend::testing
