// SPDX-License-Identifier: Apache-2.0
#include <sys/mman.h>
#include <sys/uio.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <mutex>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/cached_files.hpp"

namespace strictsend::pagecache {
namespace {

constexpr std::byte a{'a'};
constexpr std::byte b{'b'};
constexpr std::byte c{'c'};

class CacheCoreTest : public ::testing::Test {
 protected:
  void TearDown() override {
    if (core == nullptr) return;
    EXPECT_TRUE(core->settle(seconds(20))) << "something leaked";
    file.reset();
    EXPECT_TRUE(core->settle(seconds(20)));
    EXPECT_EQ(core->stats().frames_free, core->stats().frames_total);
    core->shutdown();
  }
  void make(std::uint64_t pages, std::uint32_t spares = 64, CacheConfig config = {},
            CacheTuning tuning = {}, std::uint64_t free_pages = 0) {
    core = make_core(pages + free_pages, spares, config, tuning);
    ASSERT_NE(core, nullptr);
    file = make_file(*core, pages, a);
    ASSERT_NE(file, nullptr);
  }
  SnapshotState* freeze() {
    auto snapshot = core->freeze(file, 0, ~std::uint64_t{0});
    EXPECT_TRUE(snapshot.has_value()) << snapshot.error().message();
    return *snapshot;
  }
  /// Null when this system has no protected mappings.
  std::byte* map() {
    auto mapped = core->map(file);
    if (!mapped && mapped.error().errno_value == ENOTSUP) return nullptr;
    EXPECT_TRUE(mapped.has_value()) << mapped.error().message();
    return mapped->data();
  }
  /// A redirected writer goes on a moment before the guard has noted where its page now is; the
  /// guard holds the file's lock until it has.
  void wait_for_the_guard() const { const std::scoped_lock lock(file->lock); }
  FrameIndex current(std::uint32_t page) const {
    return FrameIndex{file->table[PageIndex{page}].current.load()};
  }

  std::shared_ptr<CacheCore> core;
  std::shared_ptr<CachedFile> file;
};

#define MAP_OR_SKIP(name)                         \
  std::byte* name = map();                        \
  if (name == nullptr) {                          \
    GTEST_SKIP() << core->uffd_error().message(); \
  }

TEST_F(CacheCoreTest, a_store_after_the_freeze_is_not_in_the_snapshot) {
  make(8);
  MAP_OR_SKIP(bytes);
  bytes[0] = b;
  SnapshotState* snapshot = freeze();
  bytes[0] = c;
  bytes[page_bytes] = c;
  EXPECT_EQ(first_byte(*core, *snapshot, 0), b);
  EXPECT_EQ(first_byte(*core, *snapshot, 1), a);
  EXPECT_EQ(bytes[0], c);
  EXPECT_EQ(snapshot->pages_preserved.load(), 2U);
  core->release(snapshot);
}

TEST_F(CacheCoreTest, a_write_that_no_fault_told_of_changes_the_tag_whatever_was_frozen_before) {
  make(16);
  MAP_OR_SKIP(bytes);
  bytes[5 * page_bytes] = b;
  auto first_page = core->freeze(file, 0, page_bytes);
  ASSERT_TRUE(first_page.has_value());
  bytes[5 * page_bytes] = c;  // outside of that range, so still unprotected
  SnapshotState* whole = freeze();
  EXPECT_EQ(first_byte(*core, *whole, 5), c);
  EXPECT_NE((*first_page)->attributes.entity_tag, whole->attributes.entity_tag);
  core->release(*first_page);
  core->release(whole);
}

TEST_F(CacheCoreTest, each_snapshot_keeps_its_own_version_of_a_page) {
  make(4);
  MAP_OR_SKIP(bytes);
  std::vector<SnapshotState*> snapshots;
  for (int version = 0; version < 10; ++version) {
    bytes[5] = static_cast<std::byte>(version);
    bytes[0] = static_cast<std::byte>(version);
    snapshots.push_back(freeze());
    snapshots.push_back(freeze());
  }
  bytes[0] = std::byte{99};
  for (std::size_t i = 0; i < snapshots.size(); ++i)
    EXPECT_EQ(first_byte(*core, *snapshots[i], 0), static_cast<std::byte>(i / 2));
  // Released out of order: what is left must stay right while the guard collects the rest.
  for (std::size_t i = 1; i < snapshots.size(); i += 2)
    core->release(snapshots[i]);
  for (std::size_t i = 0; i < snapshots.size(); i += 2) {
    EXPECT_EQ(first_byte(*core, *snapshots[i], 0), static_cast<std::byte>(i / 2));
    core->release(snapshots[i]);
  }
}

TEST_F(CacheCoreTest, a_frame_under_a_descriptor_keeps_its_bytes_and_the_page_comes_home) {
  make(8);
  MAP_OR_SKIP(bytes);
  SnapshotState* snapshot = freeze();
  const FrameIndex frame = pin(*core, *snapshot, 3);
  bytes[3 * page_bytes] = b;
  wait_for_the_guard();
  EXPECT_EQ(core->stats().pages_redirected, 1U);
  EXPECT_NE(current(3), frame);
  // Acknowledged and released, but the descriptor is still out.
  core->release(snapshot);
  EXPECT_FALSE(core->settle(milliseconds(30)));
  EXPECT_EQ(*core->arena().dma(frame), a);
  bytes[3 * page_bytes + 1] = b;
  EXPECT_EQ(*core->arena().dma(frame), a);
  core->unpin(frame);
  EXPECT_TRUE(core->settle(seconds(20)));
  EXPECT_EQ(current(3), frame);
  EXPECT_EQ(bytes[3 * page_bytes], b);
  EXPECT_EQ(bytes[3 * page_bytes + page_bytes - 1], a);
  EXPECT_EQ(core->stats().pages_came_home, 1U);
}

TEST_F(CacheCoreTest, a_descriptor_past_the_acknowledgement_redirects_without_history) {
  make(8);
  MAP_OR_SKIP(bytes);
  SnapshotState* snapshot = freeze();
  const FrameIndex frame = pin(*core, *snapshot, 0);
  advance_snapshot(*snapshot, page_bytes, Time{});
  bytes[0] = b;
  wait_for_the_guard();
  EXPECT_EQ(core->stats().pages_redirected, 1U);
  EXPECT_EQ(core->stats().frames_history, 0U);
  EXPECT_EQ(*core->arena().dma(frame), a);
  core->unpin(frame);
  core->release(snapshot);
}

TEST_F(CacheCoreTest, api_writes_obey_the_same_rules_without_a_mapping) {
  make(8);
  SnapshotState* first = freeze();
  api_write(*file, 2, b);
  SnapshotState* second = freeze();
  const FrameIndex frame = pin(*core, *second, 2);
  api_write(*file, 2, c);
  EXPECT_EQ(*core->arena().dma(frame), b);
  core->unpin(frame);
  EXPECT_EQ(first_byte(*core, *first, 2), a);
  EXPECT_EQ(first_byte(*core, *second, 2), b);
  EXPECT_EQ(core->stats().pages_preserved, 1U);
  EXPECT_EQ(core->stats().pages_redirected, 1U);
  core->release(first);
  core->release(second);
}

TEST_F(CacheCoreTest, api_writes_and_mapped_writers_see_each_other) {
  make(8);
  MAP_OR_SKIP(bytes);
  bytes[0] = b;
  api_write(*file, 1, c);
  EXPECT_EQ(bytes[page_bytes], c);
  SnapshotState* snapshot = freeze();
  const FrameIndex frame = pin(*core, *snapshot, 1);
  api_write(*file, 1, b);  // redirected: the mapping has to follow, and to stay protected
  EXPECT_EQ(bytes[page_bytes], b);
  SnapshotState* later = freeze();
  bytes[page_bytes] = a;
  EXPECT_EQ(first_byte(*core, *snapshot, 1), c);
  EXPECT_EQ(first_byte(*core, *later, 1), b);
  EXPECT_EQ(first_byte(*core, *later, 0), b);
  core->unpin(frame);
  core->release(snapshot);
  core->release(later);
}

TEST_F(CacheCoreTest, read_into_the_mapping_waits_for_the_guard) {
  make(8);
  MAP_OR_SKIP(bytes);
  if (!core->uffd()->sees_kernel_faults()) GTEST_SKIP() << "needs CAP_SYS_PTRACE";
  SnapshotState* snapshot = freeze();
  int pipe_fds[2];
  ASSERT_EQ(::pipe(pipe_fds), 0);
  const std::string text(3000, 'z');
  ASSERT_EQ(::write(pipe_fds[1], text.data(), text.size()), 3000);
  ASSERT_EQ(::read(pipe_fds[0], bytes + 4000, 3000), 3000);  // over a page boundary
  ::close(pipe_fds[0]);
  ::close(pipe_fds[1]);
  EXPECT_EQ(bytes[4000], std::byte{'z'});
  EXPECT_EQ(first_byte(*core, *snapshot, 1), a);
  EXPECT_EQ(snapshot->pages_preserved.load(), 2U);
  core->release(snapshot);
}

TEST_F(CacheCoreTest, a_truncated_page_stays_in_the_snapshot_and_comes_back_as_zeros) {
  make(8, 64, {}, {}, 8);
  MAP_OR_SKIP(bytes);
  bytes[7 * page_bytes] = b;
  SnapshotState* snapshot = freeze();
  {
    FileEdit edit(*file);
    edit.shrink(5);
    edit.set_size_bytes(5 * page_bytes);
  }
  EXPECT_EQ(core->stats().frames_cached, 5U);
  {
    FileEdit edit(*file);
    ASSERT_TRUE(edit.grow(7).has_value());
    edit.set_size_bytes(7 * page_bytes);
  }
  EXPECT_EQ(first_byte(*core, *snapshot, 7), b);
  EXPECT_EQ(first_byte(*core, *snapshot, 6), a);
  auto again = core->map(file);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->data(), bytes);
  EXPECT_EQ(again->size(), 7 * page_bytes);
  EXPECT_EQ(bytes[6 * page_bytes], std::byte{0});
  bytes[6 * page_bytes] = c;
  EXPECT_EQ(first_byte(*core, *snapshot, 6), a);
  EXPECT_EQ(bytes[0], a);
  core->release(snapshot);
}

TEST_F(CacheCoreTest, without_spare_frames_the_snapshot_that_stands_still_is_given_up) {
  CacheConfig config;
  config.writer_wait_limit = milliseconds(5);
  make(32, 4, config);
  MAP_OR_SKIP(bytes);
  SnapshotState* stalled = freeze();
  for (std::uint32_t page = 0; page < 16; ++page)
    bytes[page * page_bytes] = b;  // needs 16 frames where there are 4
  EXPECT_TRUE(stalled->revoked.load());
  EXPECT_EQ(core->stats().sends_failed_for_writers, 1U);
  EXPECT_GE(core->stats().writer_waits, 1U);
  FrameIndex frame;
  EXPECT_EQ(core->resolve_and_pin(*stalled, PageIndex{20}, frame), PinOutcome::revoked);
  SnapshotState* next = freeze();
  EXPECT_EQ(first_byte(*core, *next, 3), b);
  core->release(next);
  core->release(stalled);
}

TEST_F(CacheCoreTest, an_api_writer_waits_for_the_victim_too) {
  CacheConfig config;
  config.writer_wait_limit = milliseconds(5);
  make(32, 4, config);
  SnapshotState* stalled = freeze();
  for (std::uint32_t page = 0; page < 16; ++page)
    api_write(*file, page, b);
  EXPECT_TRUE(stalled->revoked.load());
  core->release(stalled);
}

TEST_F(CacheCoreTest, frames_under_descriptors_are_waited_for_even_when_their_snapshot_is_gone) {
  CacheConfig config;
  config.writer_wait_limit = milliseconds(2);
  make(8, 1, config);
  MAP_OR_SKIP(bytes);
  SnapshotState* snapshot = freeze();
  const FrameIndex frame = pin(*core, *snapshot, 0);
  bytes[0] = b;  // redirected: takes the only spare
  std::atomic<bool> done{false};
  const FrameIndex second = pin(*core, *snapshot, 1);
  std::thread writer([&] {
    bytes[page_bytes] = b;
    done = true;
  });
  while (!snapshot->revoked.load())
    std::this_thread::yield();
  EXPECT_FALSE(done.load());
  EXPECT_EQ(*core->arena().dma(second), a);
  EXPECT_EQ(*core->arena().dma(frame), a);
  core->unpin(second);
  writer.join();
  core->unpin(frame);
  core->release(snapshot);
}

TEST_F(CacheCoreTest, the_budget_of_pages_away_is_kept) {
  CacheTuning tuning;
  tuning.lone_pages_max = 2;
  CacheConfig config;
  config.writer_wait_limit = seconds(100);
  make(8, 64, config, tuning);
  MAP_OR_SKIP(bytes);
  SnapshotState* snapshot = freeze();
  std::vector<FrameIndex> pins;
  for (std::uint32_t page = 0; page < 8; page += 2)
    pins.push_back(pin(*core, *snapshot, page));
  bytes[0] = b;
  bytes[2 * page_bytes] = b;
  std::thread writer([&] { bytes[4 * page_bytes] = b; });
  while (core->stats().writer_waits == 0)
    std::this_thread::yield();
  for (const FrameIndex frame : pins)
    core->unpin(frame);
  writer.join();
  EXPECT_EQ(core->stats().pages_redirected, 2U);
  EXPECT_EQ(first_byte(*core, *snapshot, 4), a);
  core->release(snapshot);
}

TEST_F(CacheCoreTest, attributes_change_with_the_bytes_only) {
  make(4);
  MAP_OR_SKIP(bytes);
  file->attributes.entity_tag = "as-loaded";
  SnapshotState* loaded = freeze();
  EXPECT_EQ(loaded->attributes.entity_tag, "as-loaded");
  bytes[0] = b;
  SnapshotState* written = freeze();
  SnapshotState* same = freeze();
  EXPECT_NE(written->attributes.entity_tag, "as-loaded");
  EXPECT_EQ(same->attributes.entity_tag, written->attributes.entity_tag);
  EXPECT_EQ(same->attributes.mtime_ns, written->attributes.mtime_ns);
  api_write(*file, 1, c);
  SnapshotState* again = freeze();
  EXPECT_NE(again->attributes.entity_tag, written->attributes.entity_tag);
  for (SnapshotState* snapshot : {loaded, written, same, again})
    core->release(snapshot);
}

TEST_F(CacheCoreTest, sync_takes_the_dirty_pages_over_once) {
  make(8);
  MAP_OR_SKIP(bytes);
  bytes[page_bytes] = b;
  api_write(*file, 4, c);
  std::vector<PageIndex> dirty;
  auto first = core->freeze_for_sync(file, dirty);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(dirty, (std::vector<PageIndex>{PageIndex{1}, PageIndex{4}}));
  bytes[page_bytes] = c;
  dirty.clear();
  auto second = core->freeze_for_sync(file, dirty);
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(dirty, (std::vector<PageIndex>{PageIndex{1}}));
  EXPECT_EQ(first_byte(*core, **first, 1), b);
  core->release(*first);
  core->release(*second);
}

TEST_F(CacheCoreTest, a_part_is_of_its_snapshots_instant_and_lives_on_without_it) {
  make(8);
  SnapshotState* whole = freeze();
  api_write(*file, 2, b);
  SnapshotState* later = freeze();
  api_write(*file, 3, c);

  // Taken after both writes, from a byte within page 2 to one within page 4.
  const auto part = core->part(*whole, 2 * page_bytes + 10, 2 * page_bytes);
  ASSERT_TRUE(part.has_value());
  EXPECT_EQ((*part)->offset, 2 * page_bytes + 10);
  EXPECT_EQ((*part)->end_offset, 4 * page_bytes + 10);
  EXPECT_EQ((*part)->attributes.entity_tag, whole->attributes.entity_tag);
  core->release(whole);
  core->release(later);
  api_write(*file, 4, c);
  // The guard has collected what nobody needs by then.
  while (core->snapshots().outside() != 1)
    std::this_thread::yield();
  for (const std::uint32_t page : {2U, 3U, 4U})
    EXPECT_EQ(first_byte(*core, **part, page), a) << page;
  core->release(*part);
}

TEST_F(CacheCoreTest, a_part_is_cut_to_its_snapshots_range) {
  make(4);
  const auto range = core->freeze(file, page_bytes, page_bytes);
  ASSERT_TRUE(range.has_value());
  const auto part = core->part(**range, 0, ~std::uint64_t{0});
  ASSERT_TRUE(part.has_value());
  EXPECT_EQ((*part)->offset, page_bytes);
  EXPECT_EQ((*part)->end_offset, 2 * page_bytes);
  const auto beyond = core->part(**range, 3 * page_bytes, 1);
  ASSERT_TRUE(beyond.has_value());
  EXPECT_EQ((*beyond)->offset, (*beyond)->end_offset);
  core->release(*beyond);
  core->release(*part);
  core->release(*range);
}

TEST_F(CacheCoreTest, there_is_no_part_of_a_snapshot_that_was_given_up) {
  CacheConfig config;
  config.writer_wait_limit = milliseconds(5);
  make(32, 4, config);
  SnapshotState* stalled = freeze();
  for (std::uint32_t page = 0; page < 16; ++page)
    api_write(*file, page, b);
  const auto part = core->part(*stalled, 0, page_bytes);
  ASSERT_FALSE(part.has_value());
  EXPECT_EQ(part.error().errno_value, ECANCELED);
  core->release(stalled);
}

TEST_F(CacheCoreTest, a_part_is_audited_too) {
  CacheConfig config;
  config.audit = true;
  make(8, 64, config);
  SnapshotState* whole = freeze();
  const auto part = core->part(*whole, 3 * page_bytes, 2 * page_bytes);
  ASSERT_TRUE(part.has_value());
  EXPECT_EQ((*part)->audit_sums.size(), 2U);
  core->release(whole);
  core->release(*part);
  ASSERT_TRUE(core->settle(seconds(20)));
  EXPECT_EQ(core->stats().audit_failures, 0U);
}

TEST_F(CacheCoreTest, too_many_snapshots_are_refused) {
  CacheConfig config;
  config.snapshots_max = 2;
  make(4, 64, config);
  SnapshotState* one = freeze();
  SnapshotState* two = freeze();
  auto third = core->freeze(file, 0, page_bytes);
  ASSERT_FALSE(third.has_value());
  EXPECT_EQ(third.error().errno_value, ENOBUFS);
  core->release(one);
  auto fourth = core->freeze(file, 0, page_bytes);
  ASSERT_TRUE(fourth.has_value());
  core->release(two);
  core->release(*fourth);
}

TEST_F(CacheCoreTest, a_file_larger_than_the_cache_is_refused_with_a_hint) {
  make(8);
  auto large = core->create_file(9 * page_bytes);
  ASSERT_FALSE(large.has_value());
  EXPECT_EQ(large.error().errno_value, EFBIG);
  EXPECT_NE(large.error().hint.find("32768"), std::string::npos);
  auto second = core->create_file(page_bytes);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().errno_value, ENOSPC);
}

TEST_F(CacheCoreTest, a_freeze_of_a_remapped_range_fails_instead_of_promising) {
  make(8);
  MAP_OR_SKIP(bytes);
  bytes[2 * page_bytes] = b;
  void* foreign = ::mmap(bytes + 2 * page_bytes, page_bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  ASSERT_NE(foreign, MAP_FAILED);
  auto snapshot = core->freeze(file, 0, 8 * page_bytes);
  ASSERT_FALSE(snapshot.has_value());
  EXPECT_NE(snapshot.error().hint.find("mremap"), std::string::npos);
}

TEST_F(CacheCoreTest, the_mapping_heals_into_the_vmas_it_began_with) {
  make(512, 256);
  MAP_OR_SKIP(bytes);
  const auto count_vmas = [] {
    std::ifstream maps("/proc/self/maps");
    return std::count(std::istreambuf_iterator<char>(maps), {}, '\n');
  };
  const auto before = count_vmas();
  SnapshotState* snapshot = freeze();
  std::vector<FrameIndex> pins;
  for (std::uint32_t page = 0; page < 512; page += 4) {
    pins.push_back(pin(*core, *snapshot, page));
    bytes[page * page_bytes] = b;
  }
  EXPECT_GE(count_vmas(), before + 200);
  for (const FrameIndex frame : pins)
    core->unpin(frame);
  core->release(snapshot);
  ASSERT_TRUE(core->settle(seconds(20)));
  EXPECT_LE(count_vmas(), before + 4);
  EXPECT_EQ(core->stats().pages_came_home, 128U);
}

TEST_F(CacheCoreTest, without_protection_snapshots_show_later_writes) {
  CacheConfig config;
  config.protect = false;
  make(8, 64, config);
  MAP_OR_SKIP(bytes);
  SnapshotState* snapshot = freeze();
  bytes[0] = b;
  api_write(*file, 1, c);
  EXPECT_EQ(first_byte(*core, *snapshot, 0), b);
  EXPECT_EQ(first_byte(*core, *snapshot, 1), c);
  EXPECT_EQ(core->stats().write_faults, 0U);
  core->release(snapshot);
}

TEST_F(CacheCoreTest, audit_is_silent_about_covered_writers) {
  CacheConfig config;
  config.audit = true;
  make(16, 64, config);
  MAP_OR_SKIP(bytes);
  for (int round = 0; round < 20; ++round) {
    SnapshotState* snapshot = freeze();
    const FrameIndex frame = pin(*core, *snapshot, 0);
    bytes[0] = static_cast<std::byte>(round);
    advance_snapshot(*snapshot, 8 * page_bytes, Time{});
    bytes[3 * page_bytes] = static_cast<std::byte>(round);
    api_write(*file, 9, static_cast<std::byte>(round));
    core->unpin(frame);
    core->release(snapshot);
  }
  ASSERT_TRUE(core->settle(seconds(20)));
  EXPECT_EQ(core->stats().audit_failures, 0U);
}

TEST_F(CacheCoreTest, audit_finds_a_device_that_writes_into_frames_it_pinned_before) {
  CacheConfig config;
  config.audit = true;
  make(16, 64, config);
  MAP_OR_SKIP(bytes);
  SnapshotState* snapshot = freeze();
  // Such a device writes the frame, whatever the page tables say.
  *core->arena().dma(current(5)) = c;
  core->release(snapshot);
  ASSERT_TRUE(core->settle(seconds(20)));
  EXPECT_EQ(core->stats().audit_failures, 1U);
  *core->arena().dma(FrameIndex{20}) = c;  // a free frame
  ASSERT_TRUE(core->settle(seconds(20)));
  EXPECT_EQ(core->stats().audit_failures, 2U);
}

TEST_F(CacheCoreTest, writers_go_on_after_the_cache_is_gone) {
  make(8);
  MAP_OR_SKIP(bytes);
  SnapshotState* snapshot = freeze();
  core->release(snapshot);
  ASSERT_TRUE(core->settle(seconds(20)));
  core->shutdown();
  bytes[0] = b;
  EXPECT_EQ(*core->arena().dma(current(0)), b);
  file.reset();
  EXPECT_EQ(core->stats().frames_free, core->stats().frames_total);
  core.reset();
}

}  // namespace
}  // namespace strictsend::pagecache
