// SPDX-License-Identifier: Apache-2.0
// How much the core keeps for snapshots, for whom, and who is given up when that is too much.
#include <algorithm>
#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "pagecache/guard.hpp"
#include "pagecache/page_changer.hpp"
#include "tests/support/cached_files.hpp"
#include "tests/support/sanitized.hpp"

namespace strictsend::pagecache {
namespace {

constexpr std::byte a{'a'};
constexpr std::byte b{'b'};

class CacheLimits : public ::testing::Test {
 protected:
  void TearDown() override {
    if (core == nullptr) return;
    for (SnapshotState* snapshot : snapshots)
      core->release(snapshot);
    EXPECT_TRUE(core->settle(seconds(20))) << "something leaked";
    core->shutdown();
  }
  void make(std::uint64_t pages, std::uint32_t spares, CacheConfig config = {},
            std::uint64_t free_pages = 0) {
    CacheTuning tuning;
    tuning.progress_clock = [this] { return Time{now_ns.load()}; };
    core = make_core(pages + free_pages, spares, config, tuning);
    ASSERT_NE(core, nullptr);
    file = make_file(*core, pages, a);
    ASSERT_NE(file, nullptr);
  }
  SnapshotState* freeze(std::uint64_t owner) {
    auto snapshot = core->freeze(file, 0, ~std::uint64_t{0});
    EXPECT_TRUE(snapshot.has_value()) << snapshot.error().message();
    (*snapshot)->owner.store(owner);
    snapshots.push_back(*snapshot);
    return *snapshot;
  }
  void write(std::uint32_t from, std::uint32_t to, std::byte value = b) {
    for (std::uint32_t page = from; page < to; ++page)
      api_write(*file, page, value);
  }
  void advance(SnapshotState* snapshot, std::uint64_t page) const {
    advance_snapshot(*snapshot, page * page_bytes, Time{now_ns.load()});
  }
  void pass(Duration time) { now_ns += time.ns; }
  /// The guard has been through a tick that began after this call.
  void let_guard_look() const {
    // What it finds first is of the tick that may be under way.
    for (int tick = 0; tick < 2; ++tick) {
      auto marker = core->freeze(file, 0, 1);
      ASSERT_TRUE(marker);
      const std::uint64_t outside = core->snapshots().outside();
      core->release(*marker);
      core->guard().hurry();
      while (core->snapshots().outside() >= outside)
        std::this_thread::yield();
    }
  }
  /// What PageChanger counts as it goes, counted anew.
  void expect_right_counts() const {
    const std::scoped_lock lock(file->lock);
    const PageChanger changer(*core, *file);
    for (const SnapshotState* snapshot : file->live) {
      std::uint64_t kept = 0;
      for (std::uint64_t page = snapshot->collected_page; page < snapshot->end_page; ++page)
        kept += changer.keeps_for(page, snapshot->epoch) ? 1U : 0U;
      ASSERT_EQ(snapshot->pages_kept, kept);
    }
  }
  /// Cuts the file and makes it as long as it was, with zeros.
  void cut_to(std::uint64_t pages) {
    FileEdit edit(*file);
    const std::uint64_t before = edit.pages();
    edit.shrink(pages);
    ASSERT_TRUE(edit.grow(before).has_value());
  }
  std::uint64_t frames_kept() const { return core->stats().frames_history; }

  std::atomic<std::int64_t> now_ns{seconds(1000).ns};
  std::shared_ptr<CacheCore> core;
  std::shared_ptr<CachedFile> file;
  std::vector<SnapshotState*> snapshots;
};

CacheConfig limited(std::uint64_t frames, std::uint64_t frames_per_owner = 0) {
  CacheConfig config;
  config.preserved_bytes_max = frames * page_bytes;
  config.preserved_bytes_per_owner_max = frames_per_owner * page_bytes;
  return config;
}

TEST_F(CacheLimits, who_holds_more_than_one_may_is_given_up_and_nobody_else) {
  make(64, 256, limited(200, 40));
  SnapshotState* slow = freeze(1);
  SnapshotState* nobodys = freeze(0);
  SnapshotState* fast = freeze(2);
  write(0, 30);
  advance(fast, 30);
  write(30, 64);
  let_guard_look();
  EXPECT_TRUE(slow->revoked.load());
  EXPECT_FALSE(fast->revoked.load()) << "holds 34";
  EXPECT_FALSE(nobodys->revoked.load()) << "is no connection's";
  EXPECT_EQ(core->stats().sends_failed_for_connection_limit, 1U);
  EXPECT_EQ(core->stats().sends_failed_for_total_limit, 0U);
  EXPECT_EQ(core->stats().writer_waits, 0U);
  EXPECT_EQ(frames_kept(), 64U) << "which the others share";
}

TEST_F(CacheLimits, the_snapshots_of_one_owner_count_together_and_go_together) {
  make(64, 256, limited(200, 40));
  SnapshotState* const first = *core->freeze(file, 0, 30 * page_bytes);
  snapshots.push_back(first);
  SnapshotState* const second = *core->freeze(file, 30 * page_bytes, 30 * page_bytes);
  snapshots.push_back(second);
  SnapshotState* const unwritten = *core->freeze(file, 63 * page_bytes, page_bytes);
  snapshots.push_back(unwritten);
  for (SnapshotState* snapshot : snapshots)
    snapshot->owner.store(7);
  write(0, 60);
  let_guard_look();
  EXPECT_TRUE(first->revoked.load());
  EXPECT_TRUE(second->revoked.load());
  EXPECT_FALSE(unwritten->revoked.load()) << "nothing is kept for it";
  EXPECT_EQ(core->stats().sends_failed_for_connection_limit, 2U);
  EXPECT_EQ(frames_kept(), 0U);
}

TEST_F(CacheLimits, beyond_the_total_those_that_stand_still_go_first_and_writers_go_on) {
  make(256, 512, limited(200, 200));
  SnapshotState* still = freeze(1);
  write(0, 20);
  pass(milliseconds(500));
  SnapshotState* slow = freeze(2);
  SnapshotState* fast = freeze(3);
  advance(slow, 1);
  pass(milliseconds(50));
  advance(fast, 1);
  write(20, 160);  // for all three: 160
  write(0, 20);    // again, for the latter two: 20 more
  let_guard_look();
  EXPECT_TRUE(still->revoked.load());
  EXPECT_FALSE(slow->revoked.load());
  EXPECT_FALSE(fast->revoked.load());
  EXPECT_LE(frames_kept(), 175U);
  EXPECT_EQ(core->stats().sends_failed_for_total_limit, 1U);
  write(160, 200);
  let_guard_look();
  EXPECT_TRUE(slow->revoked.load()) << "now it is its turn, though that frees little";
  EXPECT_EQ(core->stats().sends_failed_for_writers, 0U) << "nobody had waited";
}

TEST_F(CacheLimits, no_more_is_kept_than_the_total_however_fast_it_is_written) {
  make(2048, 4096, limited(128, 128));
  for (std::uint64_t owner = 1; owner <= 20; ++owner)
    freeze(owner);
  for (std::uint32_t page = 0; page < 2048; ++page) {
    api_write(*file, page, b);
    ASSERT_LE(frames_kept(), 128U);
    if (page % 64 == 0) freeze(100 + page);
  }
  const CacheStats stats = core->stats();
  EXPECT_GT(stats.sends_failed_for_total_limit, 20U);
  EXPECT_EQ(stats.sends_failed_for_writers, 0U);
}

TEST_F(CacheLimits, a_writer_without_a_frame_waits_once_however_many_share_the_old_pages) {
  CacheConfig config;
  config.writer_wait_limit = milliseconds(20);
  make(64, 16, config);
  for (std::uint64_t owner = 1; owner <= 30; ++owner)
    freeze(owner);
  pass(seconds(1));
  write(0, 16);  // all that there are, each for all of them
  write(16, 17);
  for (const SnapshotState* snapshot : snapshots)
    EXPECT_TRUE(snapshot->revoked.load());
  EXPECT_EQ(core->stats().writer_waits, 1U);
  EXPECT_EQ(core->stats().sends_failed_for_writers, 30U);
}

TEST_F(CacheLimits, a_page_got_over_is_progress_and_less_is_none) {
  make(8, 64);
  SnapshotState* snapshot = freeze(1);
  const std::int64_t before = snapshot->progress_ns.load();
  pass(seconds(1));
  advance_snapshot(*snapshot, page_bytes - 1, Time{now_ns.load()});
  EXPECT_EQ(snapshot->progress_ns.load(), before);
  advance_snapshot(*snapshot, page_bytes, Time{now_ns.load()});
  EXPECT_EQ(snapshot->progress_ns.load(), now_ns.load());
}

TEST_F(CacheLimits, what_a_truncation_leaves_to_snapshots_counts_and_may_pass_the_limit) {
  make(64, 64, limited(40, 40), 64);
  SnapshotState* snapshot = freeze(0);
  cut_to(4);
  EXPECT_EQ(core->stats().writer_waits, 0U);
  let_guard_look();
  EXPECT_TRUE(snapshot->revoked.load());
  EXPECT_EQ(frames_kept(), 0U);
}

TEST_F(CacheLimits, the_counts_are_right_whatever_happens) {
  constexpr std::uint32_t pages = 32;
  for (std::uint32_t seed = 1; seed <= (testing::sanitized ? 3 : 20); ++seed) {
    make(pages, 512, {}, 1024);
    std::mt19937 random(seed);
    const auto below = [&random](std::uint64_t n) { return random() % n; };
    std::vector<FrameIndex> pinned;
    for (int i = 0; i < 600; ++i) {
      switch (below(9)) {
        case 0:
          if (snapshots.size() < 20) freeze(1 + below(5));
          break;
        case 1:
          if (!snapshots.empty()) {
            SnapshotState* of = snapshots[below(snapshots.size())];
            if (auto part = core->part(*of, below(pages) * page_bytes, below(pages) * page_bytes))
              snapshots.push_back(*part);
          }
          break;
        case 2:
          if (!snapshots.empty()) {
            const std::size_t which = below(snapshots.size());
            core->release(snapshots[which]);
            snapshots.erase(snapshots.begin() + static_cast<std::ptrdiff_t>(which));
          }
          break;
        case 3:
          if (!snapshots.empty()) {
            SnapshotState* snapshot = snapshots[below(snapshots.size())];
            advance(snapshot,
                    std::min(snapshot->end_page, snapshot->covered_begin_page() + below(9)));
          }
          break;
        case 4:  // so that writers are redirected, and pages come home out of the history
          if (!snapshots.empty() && pinned.size() < 8) {
            const SnapshotState* snapshot = snapshots[below(snapshots.size())];
            const std::uint64_t begin = snapshot->covered_begin_page();
            if (begin < snapshot->end_page)
              pinned.push_back(
                  pin(*core, *snapshot,
                      static_cast<std::uint32_t>(begin + below(snapshot->end_page - begin))));
          }
          break;
        case 5:
          if (!pinned.empty()) {
            core->unpin(pinned.back());
            pinned.pop_back();
          }
          break;
        case 6:
          cut_to(4 + below(pages - 4));
          break;
        default:
          api_write(*file, static_cast<std::uint32_t>(below(pages)), b);
      }
      expect_right_counts();
      if (HasFatalFailure()) break;
    }
    for (const FrameIndex frame : pinned)
      core->unpin(frame);
    ASSERT_FALSE(HasFailure()) << "seed " << seed;
    for (SnapshotState* snapshot : snapshots)
      core->release(snapshot);
    snapshots.clear();
    ASSERT_TRUE(core->settle(seconds(20)));
    file.reset();
    core->shutdown();
    core.reset();
  }
}

}  // namespace
}  // namespace strictsend::pagecache
