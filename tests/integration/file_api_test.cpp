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

}  // namespace
}  // namespace strictsend::pagecache
