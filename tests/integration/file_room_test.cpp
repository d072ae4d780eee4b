// SPDX-License-Identifier: Apache-2.0
// What stays in a cache that is full, what leaves it, and how it comes again: as an application
// sees it, on a disk file system.
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/cache_on_disk.hpp"
#include "tests/support/temp_dir.hpp"

namespace strictsend::pagecache {
namespace {

using test::CacheOnDisk;
using test::get_file;
using test::put_file;
using test::random_bytes;
using test::TakenSnapshot;
using Bytes = std::vector<std::byte>;

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

TEST(FileCacheRoom, a_file_larger_than_the_cache_comes_page_by_page_and_is_not_mapped) {
  CacheOnDisk disk(CacheOnDisk::config_of(mib));
  const Bytes bytes = random_bytes(2 * mib + 100, 1);
  put_file(disk.path("file"), bytes);
  auto file = disk.open("file");
  EXPECT_EQ(disk.cache().stats().frames_cached, 0U);
  EXPECT_EQ(disk.freeze(file).bytes(), bytes);
  EXPECT_EQ(CacheOnDisk::read(*file), bytes);
  EXPECT_GT(disk.cache().stats().pages_evicted, 0U);
  const auto mapped = pagecache::file_map(file);
  ASSERT_FALSE(mapped.has_value());
  EXPECT_EQ(mapped.error().errno_value, EFBIG);
  EXPECT_NE(mapped.error().message().find("choose a larger cache"), std::string::npos);
  file.reset();
  EXPECT_TRUE(disk.settles());
}

TEST(FileCacheRoom, idle_files_stay_until_room_is_needed_and_the_oldest_goes_first) {
  CacheOnDisk disk(CacheOnDisk::config_of(mib, 64));  // 192 frames for files
  for (const char* name : {"a", "b", "c"})
    put_file(disk.path(name), random_bytes(60 * page_bytes, 1));
  disk.open("a").reset();
  disk.open("b").reset();
  disk.open("c").reset();
  EXPECT_EQ(disk.cache().stats().frames_cached, 180U);
  disk.open("a").reset();  // now b is the oldest
  put_file(disk.path("d"), random_bytes(60 * page_bytes, 2));
  disk.open("d").reset();
  EXPECT_EQ(disk.cache().stats().frames_cached, 180U);
  // What is still there is there without the disk: a deleted name would not open, so look at what
  // the cache counts instead.
  const auto frames_after_opening = [&](const char* name) {
    const std::uint64_t before = disk.cache().stats().frames_free;
    auto file = disk.open(name);
    return before - disk.cache().stats().frames_free;
  };
  EXPECT_EQ(frames_after_opening("a"), 0U);
  EXPECT_EQ(frames_after_opening("c"), 0U);
  EXPECT_EQ(frames_after_opening("d"), 0U);
  EXPECT_TRUE(disk.settles());
}

TEST(FileCacheRoom, files_in_use_give_pages_away_and_have_them_again_when_they_are_wanted) {
  CacheOnDisk disk(CacheOnDisk::config_of(mib, 64));
  for (unsigned i = 0; i < 4; ++i)
    put_file(disk.path(std::string(1, static_cast<char>('a' + i))),
             random_bytes(60 * page_bytes - 100, i));
  auto a = disk.open("a");
  auto b = disk.open("b");
  std::optional<TakenSnapshot> sending = disk.freeze(b);
  b.reset();  // only its snapshot holds it now
  auto c = disk.open("c");
  auto d = disk.open("d");
  EXPECT_GE(disk.cache().stats().pages_evicted, 240U - 192U);
  EXPECT_EQ(sending->bytes(), random_bytes(60 * page_bytes - 100, 1));
  EXPECT_EQ(CacheOnDisk::read(*a), random_bytes(60 * page_bytes - 100, 0));
  EXPECT_EQ(CacheOnDisk::read(*c), random_bytes(60 * page_bytes - 100, 2));
  EXPECT_EQ(CacheOnDisk::read(*d), random_bytes(60 * page_bytes - 100, 3));
  EXPECT_GT(disk.cache().stats().pages_loaded, 0U);
  sending.reset();
  EXPECT_TRUE(disk.settles());
}

TEST(FileCacheRoom, pages_under_descriptors_are_not_given_away) {
  CacheOnDisk disk(CacheOnDisk::config_of(mib, 64));
  put_file(disk.path("a"), random_bytes(100 * page_bytes, 1));
  put_file(disk.path("b"), random_bytes(100 * page_bytes, 2));
  auto a = disk.open("a");
  {
    const TakenSnapshot sending = disk.freeze(a);
    std::vector<FrameIndex> pinned;
    for (std::uint32_t page = 0; page < 100; ++page)
      pinned.push_back(sending.pin(PageIndex{page}));
    auto b = disk.cache().open_file(disk.path("b"), O_RDONLY);
    ASSERT_FALSE(b.has_value());
    EXPECT_EQ(b.error().errno_value, ENOBUFS);
    EXPECT_NE(b.error().hint.find("--cache"), std::string::npos);
    for (const FrameIndex frame : pinned)
      disk.cache().unpin(frame);
    EXPECT_TRUE(disk.cache().open_file(disk.path("b"), O_RDONLY).has_value());
  }
  EXPECT_TRUE(disk.settles());
}

TEST(FileCacheRoom, a_page_that_comes_again_with_other_bytes_is_not_sent) {
  CacheOnDisk disk(CacheOnDisk::config_of(mib, 64));
  const Bytes content = random_bytes(100 * page_bytes, 1);
  put_file(disk.path("a"), content);
  put_file(disk.path("b"), random_bytes(180 * page_bytes, 2));
  auto a = disk.open("a");
  const TakenSnapshot sending = disk.freeze(a);
  disk.open("b");
  ASSERT_GT(disk.cache().stats().pages_evicted, 0U);
  // In place, and its times are set back: ctime alone tells.
  const auto times = std::filesystem::last_write_time(disk.path("a"));
  const int fd = ::open(disk.path("a").c_str(), O_WRONLY | O_CLOEXEC);
  for (std::uint64_t page = 0; page < 100; ++page)
    ASSERT_EQ(::pwrite(fd, "other", 5, static_cast<off_t>(page << page_shift)), 5);
  ::close(fd);
  std::filesystem::last_write_time(disk.path("a"), times);
  EXPECT_THROW((void)sending.bytes(), std::runtime_error);
  a.reset();
  EXPECT_EQ(CacheOnDisk::read(*disk.open("a")), get_file(disk.path("a"))) << "the new version";
}

/// A file of 100 pages, mapped, most of whose pages have left the memory.
class FileCacheHidden : public ::testing::Test {
 protected:
  FileCacheHidden() : FileCacheHidden(true) {}
  explicit FileCacheHidden(bool protect) {
    pagecache::CacheConfig config = CacheOnDisk::config_of(mib, 64);
    config.protect = protect;
    disk_.emplace(config);
    put_file(disk_->path("a"), content_);
    put_file(disk_->path("b"), random_bytes(180 * page_bytes, 2));
    file_ = disk_->open("a");
  }
  void SetUp() override { make_hidden(); }
  void make_hidden() {
    mapping_ = CacheOnDisk::value(file_map(file_));
    disk_->open("b");
  }
  void store(std::size_t offset, std::byte byte) {
    mapping_[offset] = byte;
    content_[offset] = byte;
  }
  void expect_content() {
    EXPECT_TRUE(std::ranges::equal(mapping_, content_)) << "through the mapping";
    EXPECT_EQ(disk_->freeze(file_).bytes(), content_) << "a snapshot";
    ASSERT_TRUE(file_sync(*file_).has_value());
    EXPECT_EQ(get_file(disk_->path("a")), content_) << "on the disk";
  }

  Bytes content_ = random_bytes(100 * page_bytes - 10, 1);
  std::optional<CacheOnDisk> disk_;
  std::shared_ptr<CachedFile> file_;
  std::span<std::byte> mapping_;
};

TEST_F(FileCacheHidden, pages_are_shown_when_they_are_touched) {
  EXPECT_GT(disk_->cache().stats().pages_evicted, 50U);
  for (std::size_t page = 0; page < 100; page += 3)
    store(page << page_shift, static_cast<std::byte>(page));
  expect_content();
}

TEST_F(FileCacheHidden, pages_that_were_cut_off_and_come_again_are_others) {
  const Bytes more = random_bytes(40 * page_bytes, 3);
  ASSERT_TRUE(file_truncate(*file_, 50 * page_bytes).has_value());
  content_.resize(50 * page_bytes);
  ASSERT_TRUE(file_append(*file_, more).has_value());
  content_.insert(content_.end(), more.begin(), more.end());
  make_hidden();
  for (std::size_t page = 0; page < 90; page += 2)
    store((page << page_shift) + 7, static_cast<std::byte>(page));
  expect_content();
  make_hidden();
  expect_content();
}

TEST_F(FileCacheHidden, a_snapshot_keeps_what_is_written_over_once_it_is_shown) {
  const Bytes before = content_;
  const TakenSnapshot sending = disk_->freeze(file_);
  for (std::size_t page = 0; page < 100; ++page)
    store(page << page_shift, static_cast<std::byte>(~page));
  EXPECT_EQ(sending.bytes(), before);
  expect_content();
}

/// In a process of its own: maps a file, has its pages leave the memory, does `then`, and touches
/// them all.
template <class Then>
void touch_hidden_pages_after(Then then) {
  std::optional<CacheOnDisk> disk(CacheOnDisk::config_of(mib, 64));
  put_file(disk->path("a"), random_bytes(100 * page_bytes, 1));
  put_file(disk->path("b"), random_bytes(180 * page_bytes, 2));
  auto file = disk->open("a");
  const std::span<std::byte> mapping = CacheOnDisk::value(file_map(file));
  disk->open("b");
  then(disk);
  std::byte sum{};
  for (const std::byte& byte : mapping)
    sum ^= byte;
  ::_exit(static_cast<int>(sum) & 1);
}

TEST(FileCacheLost, what_another_process_changed_is_a_bus_error_and_no_mixture) {
  EXPECT_EXIT(touch_hidden_pages_after([](std::optional<CacheOnDisk>& disk) {
                put_file(disk->path("a"), random_bytes(100 * page_bytes, 3));
              }),
              ::testing::KilledBySignal(SIGBUS), "");
}

TEST(FileCacheLost, what_is_hidden_when_the_cache_goes_is_a_bus_error_and_no_others_bytes) {
  EXPECT_EXIT(touch_hidden_pages_after([](std::optional<CacheOnDisk>& disk) { disk.reset(); }),
              ::testing::KilledBySignal(SIGBUS), "");
}

class FileCacheUnprotected : public FileCacheHidden {
 protected:
  FileCacheUnprotected() : FileCacheHidden(false) {}
  void SetUp() override { disk_->open("b"); }
};

TEST_F(FileCacheUnprotected, pages_come_in_before_a_file_is_mapped_and_stay) {
  EXPECT_GT(disk_->cache().stats().pages_evicted, 50U);
  mapping_ = CacheOnDisk::value(file_map(file_));
  const std::uint64_t evicted = disk_->cache().stats().pages_evicted;
  store(5, std::byte{1});
  EXPECT_FALSE(disk_->cache().open_file(disk_->path("b"), O_RDONLY).has_value());
  EXPECT_EQ(disk_->cache().stats().pages_evicted, evicted);
  expect_content();
}

TEST(FileCacheRoom, a_changed_file_is_written_back_before_it_is_dropped) {
  CacheOnDisk disk(CacheOnDisk::config_of(mib, 64));
  Bytes content = random_bytes(100 * page_bytes, 1);
  put_file(disk.path("a"), content);
  put_file(disk.path("b"), random_bytes(150 * page_bytes, 2));
  {
    auto a = disk.open("a");
    content[7] = std::byte{77};
    ASSERT_TRUE(file_write(*a, std::span(content).subspan(7, 1), 7).has_value());
  }
  auto b = disk.open("b");
  EXPECT_EQ(get_file(disk.path("a")), content);
  EXPECT_TRUE(disk.settles());
}

TEST(FileCacheRoom, what_changed_and_cannot_be_written_back_is_kept) {
  CacheOnDisk disk(CacheOnDisk::config_of(mib, 64));
  Bytes content = random_bytes(100 * page_bytes, 1);
  put_file(disk.path("a"), content);
  put_file(disk.path("b"), random_bytes(150 * page_bytes, 2));
  content[7] = std::byte{77};
  ASSERT_TRUE(
      file_write(*disk.open("a", O_RDONLY), std::span(content).subspan(7, 1), 7).has_value());
  EXPECT_TRUE(disk.cache().open_file(disk.path("b"), O_RDONLY).has_value());
  EXPECT_GT(disk.cache().stats().pages_evicted, 0U) << "what did not change";
  EXPECT_EQ(CacheOnDisk::read(*disk.open("a", O_RDONLY)), content);
  EXPECT_TRUE(disk.settles());
}

TEST(FileCacheRoom, writes_that_do_not_fit_say_so_and_leave_the_file_whole) {
  CacheOnDisk disk(CacheOnDisk::config_of(mib, 64));
  const Bytes content = random_bytes(150 * page_bytes, 1);
  put_file(disk.path("a"), content);
  auto a = disk.open("a");
  auto appended = file_append(*a, random_bytes(100 * page_bytes, 2));
  ASSERT_FALSE(appended.has_value());
  EXPECT_EQ(appended.error().errno_value, ENOBUFS);
  EXPECT_EQ(CacheOnDisk::read(*a), content);
  auto grown = file_truncate(*a, 250 * page_bytes);
  ASSERT_FALSE(grown.has_value());
  EXPECT_EQ(grown.error().errno_value, ENOBUFS);
  EXPECT_NE(grown.error().hint.find("--cache"), std::string::npos);
  EXPECT_EQ(CacheOnDisk::read(*a), content);
  EXPECT_EQ(file_write(*a, content, ~std::uint64_t{0} - 5).error().errno_value, EFBIG);
  EXPECT_TRUE(disk.settles());
}

TEST(FileCacheRoom, idle_files_leave_descriptors_to_others) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit few{100, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  {
    CacheOnDisk disk(CacheOnDisk::config_of(mib, 64));
    for (unsigned i = 0; i < 150; ++i) {
      const std::string name = std::to_string(i);
      put_file(disk.path(name), random_bytes(100, i));
      EXPECT_EQ(CacheOnDisk::read(*disk.open(name)), random_bytes(100, i));
    }
    EXPECT_LE(disk.cache().stats().frames_cached, 50U);
    EXPECT_GE(disk.cache().stats().frames_cached, 49U);
    EXPECT_TRUE(disk.settles());
  }
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST(FileCacheRoom, growing_drops_idle_files) {
  CacheOnDisk disk(CacheOnDisk::config_of(mib, 64));
  put_file(disk.path("a"), random_bytes(150 * page_bytes, 1));
  put_file(disk.path("b"), {});
  disk.open("a").reset();
  auto b = disk.open("b");
  EXPECT_TRUE(file_truncate(*b, 150 * page_bytes).has_value());
  EXPECT_EQ(disk.cache().stats().frames_cached, 150U);
  EXPECT_TRUE(disk.settles());
}

TEST(FileCacheRoom, what_is_changed_is_written_back_when_the_cache_goes) {
  const test::TempDir dir(".");
  put_file(dir.path("a"), random_bytes(5000, 1));
  const Bytes piece = random_bytes(100, 2);
  {
    auto cache = CacheOnDisk::value(PageCache::create(CacheOnDisk::config_of(mib)));
    auto a = CacheOnDisk::value(cache->open_file(dir.path("a"), O_RDWR));
    ASSERT_TRUE(file_write(*a, piece, 4990).has_value());
    a.reset();
  }
  const Bytes content = get_file(dir.path("a"));
  ASSERT_EQ(content.size(), 5090U);
  EXPECT_TRUE(std::equal(piece.begin(), piece.end(), content.begin() + 4990));
}

TEST(FileCacheRoom, a_file_that_outlives_the_cache_says_that_it_cannot_be_synced) {
  const test::TempDir dir(".");
  put_file(dir.path("f"), random_bytes(10'000, 1));
  auto cache = PageCache::create(CacheOnDisk::config_of(8 * mib));
  ASSERT_TRUE(cache) << cache.error().message();
  auto file = (*cache)->open_file(dir.path("f"), O_RDWR);
  ASSERT_TRUE(file) << file.error().message();
  cache->reset();
  ASSERT_TRUE(file_write(**file, Bytes(100), 0));
  const auto synced = file_sync(**file);
  ASSERT_FALSE(synced);
  EXPECT_EQ(synced.error().errno_value, ESHUTDOWN);
}

TEST(FileCacheRoom, too_many_snapshots_are_refused) {
  CacheConfig config = CacheOnDisk::config_of(mib, 64);
  config.snapshots_max = 2;
  CacheOnDisk disk(config);
  put_file(disk.path("a"), random_bytes(5000, 1));
  auto a = disk.open("a");
  std::optional<TakenSnapshot> first = disk.freeze(a);
  const TakenSnapshot second = disk.freeze(a);
  auto third = disk.cache().freeze(a, 0, 1);
  ASSERT_FALSE(third.has_value());
  EXPECT_EQ(third.error().errno_value, ENOBUFS);
  EXPECT_FALSE(third.error().hint.empty());
}

}  // namespace
}  // namespace strictsend::pagecache
