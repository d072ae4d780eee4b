// SPDX-License-Identifier: Apache-2.0
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/cache_on_disk.hpp"
#include "tests/support/temp_dir.hpp"

// The file API on real files of a disk file system, as an application sees it.

namespace strictsend::pagecache {
namespace {

using test::CacheOnDisk;
using test::get_file;
using test::put_file;
using test::random_bytes;
using test::TakenSnapshot;
using Bytes = std::vector<std::byte>;

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

Bytes joined(const Bytes& a, const Bytes& b) {
  Bytes all = a;
  all.insert(all.end(), b.begin(), b.end());
  return all;
}

class FileApiTest : public testing::Test {
 protected:
  void TearDown() override {
    EXPECT_TRUE(disk_.settles());
    EXPECT_EQ(disk_.cache().stats().audit_failures, 0U);
  }
  static CacheConfig config() {
    CacheConfig config = CacheOnDisk::config_of(32 * mib, 256);
    config.audit = true;
    return config;
  }
  Bytes put(const std::string& name, std::size_t size, std::uint64_t seed) {
    Bytes bytes = random_bytes(size, seed);
    put_file(disk_.path(name), bytes);
    return bytes;
  }
  CacheOnDisk disk_{config()};
};

TEST_F(FileApiTest, opens_files_of_every_size_and_freezes_exactly_their_bytes) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{4095},
                                 std::size_t{4096}, std::size_t{4097}, std::size_t{10 * mib}}) {
    SCOPED_TRACE(size);
    const std::string name = "file" + std::to_string(size);
    const Bytes content = put(name, size, size);
    auto file = disk_.open(name, O_RDONLY);
    EXPECT_EQ(file_size_bytes(*file), size);
    EXPECT_EQ(CacheOnDisk::read(*file), content);
    const TakenSnapshot snapshot = disk_.freeze(file);
    EXPECT_EQ(snapshot.bytes(), content);
    EXPECT_EQ(snapshot.attributes().size_bytes, size);
    EXPECT_FALSE(snapshot.attributes().entity_tag.empty());
  }
}

TEST_F(FileApiTest, opens_a_descriptor_that_the_caller_keeps) {
  const Bytes content = put("file", 5000, 1);
  const UniqueFd fd(::open(disk_.path("file").c_str(), O_RDONLY | O_CLOEXEC));
  auto file = disk_.cache().open_file(fd.get());
  ASSERT_TRUE(file.has_value());
  EXPECT_EQ(CacheOnDisk::read(**file), content);
  EXPECT_EQ(::lseek(fd.get(), 0, SEEK_CUR), 0);
}

TEST_F(FileApiTest, every_name_of_a_file_opens_the_same_pages) {
  put("a", 5000, 1);
  std::filesystem::create_hard_link(disk_.path("a"), disk_.path("b"));
  EXPECT_EQ(disk_.open("a"), disk_.open("b"));
}

TEST_F(FileApiTest, a_snapshot_keeps_its_bytes_while_the_file_is_written) {
  const Bytes content = put("file", 20'000, 1);
  auto file = disk_.open("file");
  const TakenSnapshot before = disk_.freeze(file);
  const Bytes piece = random_bytes(9000, 2);
  EXPECT_EQ(file_write(*file, piece, 4000).value(), 9000U);
  const TakenSnapshot after = disk_.freeze(file);
  EXPECT_EQ(before.bytes(), content);
  Bytes changed = content;
  std::copy(piece.begin(), piece.end(), changed.begin() + 4000);
  EXPECT_EQ(after.bytes(), changed);
  EXPECT_EQ(CacheOnDisk::read(*file), changed);
  EXPECT_NE(before.attributes().entity_tag, after.attributes().entity_tag);
  EXPECT_EQ(snapshot_pages_preserved(before.state()), 4U);
  EXPECT_EQ(snapshot_pages_preserved(after.state()), 0U);
}

TEST_F(FileApiTest, a_write_does_not_wait_for_a_descriptor_on_the_page) {
  const Bytes content = put("file", 8192, 1);
  auto file = disk_.open("file");
  const TakenSnapshot snapshot = disk_.freeze(file);
  const FrameIndex pinned = snapshot.pin(PageIndex{1});
  const Bytes piece = random_bytes(4096, 2);
  EXPECT_EQ(file_write(*file, piece, 4096).value(), 4096U);
  EXPECT_EQ(
      std::memcmp(disk_.cache().dma_view() + offset_of(pinned).value, content.data() + 4096, 4096),
      0);
  EXPECT_EQ(disk_.cache().stats().pages_redirected, 1U);
  disk_.cache().unpin(pinned);
  EXPECT_EQ(snapshot.bytes(), content);
}

TEST_F(FileApiTest, append_grows_the_file_and_the_snapshot_does_not_see_it) {
  const Bytes content = put("file", 4000, 1);
  auto file = disk_.open("file");
  const TakenSnapshot before = disk_.freeze(file);
  const Bytes more = random_bytes(10'000, 2);
  EXPECT_EQ(file_append(*file, more).value(), 4000U);
  const TakenSnapshot after = disk_.freeze(file);
  EXPECT_EQ(before.bytes(), content);
  EXPECT_EQ(after.bytes(), joined(content, more));
  EXPECT_EQ(after.attributes().size_bytes, 14'000U);
  EXPECT_EQ(before.attributes().size_bytes, 4000U);
}

TEST_F(FileApiTest, a_write_behind_the_end_leaves_zeros_between) {
  Bytes content = put("file", 100, 1);
  auto file = disk_.open("file");
  const Bytes piece = random_bytes(10, 2);
  EXPECT_EQ(file_write(*file, piece, 20'000).value(), 10U);
  content.resize(20'000);
  EXPECT_EQ(CacheOnDisk::read(*file), joined(content, piece));
}

TEST_F(FileApiTest, truncation_cuts_and_extends_and_old_bytes_never_come_back) {
  const Bytes content = put("file", 20'000, 1);
  auto file = disk_.open("file");
  const TakenSnapshot before = disk_.freeze(file);
  ASSERT_TRUE(file_truncate(*file, 5000).has_value());
  EXPECT_EQ(file_size_bytes(*file), 5000U);
  Bytes expected(content.begin(), content.begin() + 5000);
  EXPECT_EQ(CacheOnDisk::read(*file), expected);
  const TakenSnapshot cut = disk_.freeze(file);
  ASSERT_TRUE(file_truncate(*file, 12'000).has_value());
  EXPECT_EQ(cut.bytes(), expected);
  expected.resize(12'000);
  EXPECT_EQ(CacheOnDisk::read(*file), expected);
  EXPECT_EQ(before.bytes(), content);
  ASSERT_TRUE(file_sync(*file).has_value());
  EXPECT_EQ(get_file(disk_.path("file")), expected);
  ASSERT_TRUE(file_truncate(*file, 0).has_value());
  EXPECT_EQ(CacheOnDisk::read(*file).size(), 0U);
  EXPECT_EQ(before.bytes(), content);
}

TEST_F(FileApiTest, bytes_that_a_mapped_writer_left_behind_the_end_do_not_become_part_of_the_file) {
  Bytes content = put("file", 100, 1);
  auto file = disk_.open("file");
  auto span = file_map(file);
  if (!span) GTEST_SKIP() << span.error().message();
  std::fill_n(span->data() + 100, 1000, std::byte{0xee});
  ASSERT_TRUE(file_truncate(*file, 3000).has_value());
  content.resize(3000);
  EXPECT_EQ(CacheOnDisk::read(*file), content);
}

TEST_F(FileApiTest, the_source_of_a_write_and_the_target_of_a_read_may_be_the_mapping_itself) {
  const Bytes content = put("file", 16'384, 1);
  auto file = disk_.open("file");
  auto span = file_map(file);
  if (!span) GTEST_SKIP() << span.error().message();
  const TakenSnapshot snapshot = disk_.freeze(file);
  EXPECT_EQ(file_write(*file, span->subspan(0, 5000), 6000).value(), 5000U);
  EXPECT_EQ(file_read(*file, span->subspan(12'000, 1000), 500).value(), 1000U);
  Bytes expected = content;
  std::copy_n(content.begin(), 5000, expected.begin() + 6000);
  std::copy_n(content.begin() + 500, 1000, expected.begin() + 12'000);
  EXPECT_EQ(CacheOnDisk::read(*file), expected);
  EXPECT_EQ(snapshot.bytes(), content);
}

TEST_F(FileApiTest, sync_writes_the_changes_back_and_is_not_taken_for_a_foreign_change) {
  Bytes content = put("file", 100'000, 1);
  auto file = disk_.open("file");
  const auto same = file;
  auto span = file_map(file);
  if (span) {
    (*span)[50'000] = std::byte{1};
    content[50'000] = std::byte{1};
  }
  const Bytes piece = random_bytes(10'000, 2);
  EXPECT_EQ(file_write(*file, piece, 3).value(), piece.size());
  std::copy(piece.begin(), piece.end(), content.begin() + 3);
  const Bytes more = random_bytes(7777, 3);
  EXPECT_EQ(file_append(*file, more).value(), 100'000U);
  content = joined(content, more);
  ASSERT_TRUE(file_sync(*file).has_value());
  EXPECT_EQ(get_file(disk_.path("file")), content);
  const TakenSnapshot snapshot = disk_.freeze(file);
  EXPECT_EQ(file, same) << "no new version";
  EXPECT_EQ(snapshot.bytes(), content);
  if (span) {
    (*span)[0] = std::byte{9};  // protected again by the sync, and seen again
    content[0] = std::byte{9};
    ASSERT_TRUE(file_sync(*file).has_value());
    EXPECT_EQ(get_file(disk_.path("file")), content);
  }
}

TEST_F(FileApiTest, a_file_opened_read_only_can_be_changed_but_not_synced) {
  const Bytes content = put("file", 100, 1);
  auto file = disk_.open("file", O_RDONLY);
  EXPECT_EQ(file_write(*file, random_bytes(10, 2), 0).value(), 10U);
  auto synced = file_sync(*file);
  ASSERT_FALSE(synced.has_value());
  EXPECT_EQ(synced.error().errno_value, EBADF);
  EXPECT_NE(synced.error().hint.find("O_RDWR"), std::string::npos);
  auto writable = disk_.open("file", O_RDWR);  // the same pages, and now they can be synced
  EXPECT_EQ(writable, file);
  ASSERT_TRUE(file_sync(*file).has_value());
  EXPECT_EQ(get_file(disk_.path("file")), CacheOnDisk::read(*file));
}

TEST_F(FileApiTest, a_sync_that_fails_keeps_the_changes) {
  put("file", 100, 1);
  auto file = disk_.open("file");
  const Bytes more = random_bytes(50'000, 2);
  ASSERT_TRUE(file_append(*file, more).has_value());
  const Bytes expected = CacheOnDisk::read(*file);
  // A limit on file size stands in for a full disk: the growing part fails with EFBIG.
  struct sigaction ignore {};
  struct sigaction old_action {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGXFSZ, &ignore, &old_action);
  rlimit old_limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  const rlimit small{4096, old_limit.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  auto synced = file_sync(*file);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old_limit), 0);
  ::sigaction(SIGXFSZ, &old_action, nullptr);
  ASSERT_FALSE(synced.has_value());
  EXPECT_EQ(synced.error().errno_value, EFBIG);
  EXPECT_EQ(CacheOnDisk::read(*file), expected);
  ASSERT_TRUE(file_sync(*file).has_value());
  EXPECT_EQ(get_file(disk_.path("file")), expected);
}

TEST_F(FileApiTest, a_foreign_change_starts_a_new_version_for_later_snapshots) {
  const Bytes content = put("file", 20'000, 1);
  auto file = disk_.open("file");
  const auto old_version = file;
  const TakenSnapshot before = disk_.freeze(file);
  const Bytes changed = put("file", 20'000, 2);
  const TakenSnapshot after = disk_.freeze(file);
  EXPECT_NE(file, old_version);
  EXPECT_EQ(before.bytes(), content);
  EXPECT_EQ(after.bytes(), changed);
  EXPECT_NE(before.attributes().entity_tag, after.attributes().entity_tag);
  // Another handle on the old version finds the new one without loading it again.
  auto other = old_version;
  const TakenSnapshot again = disk_.freeze(other);
  EXPECT_EQ(other, file);
}

TEST_F(FileApiTest, freezes_at_once_all_see_a_foreign_change_that_came_before) {
  for (std::uint64_t round = 0; round < 100; ++round) {
    put("f", 16'384, 2 * round);
    const auto file = disk_.open("f", O_RDONLY);
    const Bytes changed = put("f", 16'384 + round % 2, 2 * round + 1);
    std::atomic<int> ready{0};
    std::atomic<int> stale{0};
    const auto freeze = [&] {
      auto handle = file;
      for (++ready; ready < 2;) {
      }
      if (disk_.freeze(handle).bytes() != changed) ++stale;
    };
    std::thread other(freeze);
    freeze();
    other.join();
    ASSERT_EQ(stale, 0) << "in round " << round;
  }
}

TEST_F(FileApiTest, a_foreign_change_shows_when_the_file_is_opened_again) {
  put("file", 20'000, 1);
  disk_.open("file").reset();
  const Bytes changed = put("file", 10'000, 2);
  EXPECT_EQ(CacheOnDisk::read(*disk_.open("file")), changed);
}

TEST_F(FileApiTest, a_file_renamed_over_is_another_file) {
  const Bytes content = put("file", 5000, 1);
  auto file = disk_.open("file");
  const Bytes next = put("next", 6000, 2);
  std::filesystem::rename(disk_.path("next"), disk_.path("file"));
  auto opened = disk_.open("file");
  EXPECT_EQ(CacheOnDisk::read(*opened), next);
  const TakenSnapshot old = disk_.freeze(file);
  EXPECT_EQ(old.bytes(), content) << "an open file is what it was, as with the kernel";
}

TEST_F(FileApiTest, unsaved_changes_and_a_foreign_change_are_never_mixed) {
  put("file", 5000, 1);
  auto file = disk_.open("file");
  ASSERT_TRUE(file_write(*file, random_bytes(10, 3), 0).has_value());
  const Bytes ours = CacheOnDisk::read(*file);
  const Bytes theirs = put("file", 5000, 2);
  auto frozen = disk_.cache().freeze(file, 0, 5000);
  ASSERT_FALSE(frozen.has_value());
  EXPECT_EQ(frozen.error().errno_value, ESTALE);
  EXPECT_NE(frozen.error().hint.find("rename"), std::string::npos);
  auto synced = file_sync(*file);
  ASSERT_FALSE(synced.has_value());
  EXPECT_EQ(synced.error().errno_value, ESTALE);
  EXPECT_EQ(get_file(disk_.path("file")), theirs);
  EXPECT_EQ(CacheOnDisk::read(*file), ours) << "and can be read, to be saved elsewhere";
  // The way out that the hint names.
  std::filesystem::copy_file(disk_.path("file"), disk_.path("copy"));
  std::filesystem::rename(disk_.path("copy"), disk_.path("file"));
  EXPECT_EQ(CacheOnDisk::read(*disk_.open("file")), theirs);
}

TEST_F(FileApiTest, a_mapped_file_that_others_change_is_refused) {
  put("file", 5000, 1);
  auto file = disk_.open("file");
  auto span = file_map(file);
  if (!span) GTEST_SKIP() << span.error().message();
  put("file", 5000, 2);
  auto frozen = disk_.cache().freeze(file, 0, 5000);
  ASSERT_FALSE(frozen.has_value());
  EXPECT_EQ(frozen.error().errno_value, ESTALE);
  // Once the mapping's last user is gone, the file can be opened anew.
  file.reset();
  EXPECT_EQ(CacheOnDisk::read(*disk_.open("file")), get_file(disk_.path("file")));
}

TEST_F(FileApiTest, a_change_of_mode_is_no_conflict) {
  put("file", 5000, 1);
  auto file = disk_.open("file");
  ASSERT_TRUE(file_write(*file, random_bytes(10, 3), 0).has_value());
  ASSERT_EQ(::chmod(disk_.path("file").c_str(), 0640), 0);
  const TakenSnapshot snapshot = disk_.freeze(file);
  ASSERT_TRUE(file_sync(*file).has_value());
  EXPECT_EQ(get_file(disk_.path("file")), snapshot.bytes());
}

TEST_F(FileApiTest, threads_that_open_a_file_at_once_load_it_once) {
  put("file", 4 * mib, 1);
  std::vector<std::shared_ptr<CachedFile>> files(8);
  std::vector<std::thread> threads;
  threads.reserve(files.size());
  for (auto& file : files)
    threads.emplace_back([&file, this] { file = disk_.open("file"); });
  for (std::thread& thread : threads)
    thread.join();
  for (const auto& file : files)
    EXPECT_EQ(file, files.front());
  EXPECT_EQ(disk_.cache().stats().frames_cached, 1024U);
}

TEST_F(FileApiTest, appends_of_many_threads_are_whole_and_none_is_lost) {
  put("file", 0, 1);
  auto file = disk_.open("file");
  constexpr std::size_t record = 1000;
  constexpr int each = 50;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      const Bytes bytes(record, static_cast<std::byte>(t + 1));
      for (int i = 0; i < each; ++i)
        EXPECT_TRUE(file_append(*file, bytes).has_value());
    });
  for (std::thread& thread : threads)
    thread.join();
  const Bytes all = CacheOnDisk::read(*file);
  ASSERT_EQ(all.size(), record * each * 4);
  std::vector<int> seen(5);
  for (std::size_t at = 0; at < all.size(); at += record) {
    ++seen.at(static_cast<std::size_t>(all[at]));
    EXPECT_TRUE(std::all_of(all.data() + at, all.data() + at + record,
                            [&](std::byte b) { return b == all[at]; }));
  }
  EXPECT_EQ(seen, (std::vector<int>{0, each, each, each, each}));
}

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
