// SPDX-License-Identifier: Apache-2.0
// The pair of pin and preserve alone, with real threads, which the thread sanitizer watches.
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "base/mutation.hpp"
#include "tests/support/cached_files.hpp"

namespace strictsend::pagecache {
namespace {

// Pages are filled with one byte by plain memory writes and read by plain ones: a pin that does not
// order them is a data race, which the thread sanitizer reports, and a mixed page, which this does.
TEST(PinThreads, pinned_pages_are_never_written) {
  constexpr std::uint32_t pages = 8;
  constexpr int snapshots = 100;
  constexpr int snapshots_at_most = 100 * snapshots;
  CacheTuning tuning;
  tuning.free_order = FrameAllocator::Order::lifo;
  tuning.guard_tick = microseconds(50);
  MutationControl::yield_one_in = 16;
  auto core = make_core(pages, 512, {}, tuning);
  auto file = make_file(*core, pages, std::byte{1});

  std::atomic<bool> stop{false};
  std::thread writer([&] {
    std::minstd_rand random(1);
    while (!stop)
      api_write(*file, static_cast<std::uint32_t>(random() % pages),
                static_cast<std::byte>(random() % 256));
  });
  std::atomic<int> torn{0};
  const auto send = [&](unsigned seed) {
    std::minstd_rand random(seed);
    // Where processors are few and busy the writer may not have run yet when the last one ends.
    const auto writer_met_pins = [&] { return core->stats().pages_redirected != 0; };
    for (int i = 0; i < snapshots || (i < snapshots_at_most && !writer_met_pins()); ++i) {
      auto frozen = core->freeze(file, 0, ~std::uint64_t{0});
      if (!frozen) continue;
      SnapshotState* snapshot = *frozen;
      std::array<std::byte, pages> first{};
      for (int round = 0; round < 2; ++round) {
        for (std::uint32_t page = 0; page < pages; ++page) {
          const FrameIndex frame = pin(*core, *snapshot, page);
          if (round == 1 && page == pages - 1) {
            advance_snapshot(*snapshot, std::uint64_t{pages} * page_bytes, Time{});
            core->release(snapshot);  // the descriptor outlives the snapshot
          }
          if (random() % 4 == 0) std::this_thread::yield();
          const std::byte* bytes = core->arena().dma(frame);
          if (round == 0) first[page] = bytes[0];
          for (std::uint64_t at = 0; at < page_bytes; at += 64) {
            if (bytes[at] != first[page]) ++torn;
          }
          core->unpin(frame);
        }
      }
    }
  };
  std::thread other([&] { send(2); });
  send(3);
  other.join();
  stop = true;
  writer.join();
  MutationControl::yield_one_in = 0;
  EXPECT_EQ(torn.load(), 0);
  EXPECT_TRUE(core->settle(seconds(60)));
  EXPECT_GT(core->stats().pages_redirected, 0U);
  core->shutdown();
}

}  // namespace
}  // namespace strictsend::pagecache
