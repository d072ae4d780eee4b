// SPDX-License-Identifier: Apache-2.0
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <liburing.h>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "base/unique_fd.hpp"
#include "pagecache/file_identity.hpp"
#include "tests/support/cache_on_disk.hpp"
#include "tests/support/temp_dir.hpp"

// Every way in which other processes change a file on the disk while it is in a cache: what was
// frozen stays, what is frozen next is the new version, and which ways the kernel does not tell of.

namespace strictsend::pagecache {
namespace {

using test::CacheOnDisk;
using test::get_file;
using test::put_file;
using test::random_bytes;
using test::TakenSnapshot;
using Bytes = std::vector<std::byte>;

constexpr std::size_t file_bytes = 8 * page_bytes;

struct AlignedPage {
  void* memory = nullptr;
  AlignedPage() {
    if (::posix_memalign(&memory, page_bytes, page_bytes) != 0) throw std::bad_alloc();
    std::memset(memory, 'd', page_bytes);
  }
  AlignedPage(const AlignedPage&) = delete;
  AlignedPage& operator=(const AlignedPage&) = delete;
  ~AlignedPage() { ::free(memory); }
};

/// A way of writing: of another process's file, given by name; false: not to be had here.
struct WayOfWriting {
  const char* name;
  std::function<bool(const std::string&)> write;
};

bool written_by_pwrite(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return ::pwrite(fd.get(), "other", 5, 5000) == 5;
}
bool written_by_o_direct(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC));
  const AlignedPage page;
  return fd.valid() && ::pwrite(fd.get(), page.memory, page_bytes, page_bytes) == 4096;
}
bool written_by_io_uring(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  io_uring ring{};
  if (io_uring_queue_init(1, &ring, 0) != 0) return false;
  io_uring_prep_write(io_uring_get_sqe(&ring), fd.get(), "other", 5, 5000);
  io_uring_cqe* cqe = nullptr;
  const bool done =
      io_uring_submit(&ring) == 1 && io_uring_wait_cqe(&ring, &cqe) == 0 && cqe->res == 5;
  io_uring_queue_exit(&ring);
  return done;
}
bool written_by_copy_file_range(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  off64_t from = 0;
  off64_t to = 5 * page_bytes;
  return ::copy_file_range(fd.get(), &from, fd.get(), &to, page_bytes, 0) == 4096;
}
bool holed(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return ::fallocate(fd.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096) == 0;
}
bool cut(const std::string& path) {
  return ::truncate(path.c_str(), 5000) == 0;
}
bool appended(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  return ::write(fd.get(), "more", 4) == 4;
}
bool stored_through_a_mapping(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  void* const at = ::mmap(nullptr, file_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (at == MAP_FAILED) return false;
  std::memcpy(static_cast<std::byte*>(at) + 5000, "other", 5);  // the page is clean: the first one
  return ::munmap(at, file_bytes) == 0;
}
/// In a process of its own, which is what "another process" is.
bool written_by_a_child(const std::string& path) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(written_by_pwrite(path) ? 0 : 1);
  int status = 0;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
/// As `cp -p` over it, or `touch -r` afterwards, do: ctime alone tells.
bool written_and_its_mtime_set_back(const std::string& path) {
  struct stat before {};
  if (::stat(path.c_str(), &before) != 0 || !written_by_pwrite(path)) return false;
  const timespec times[2] = {before.st_atim, before.st_mtim};
  return ::utimensat(AT_FDCWD, path.c_str(), times, 0) == 0;
}

/// Of all of these the size or a time stamp tells: ctime, where there is no other, which no program
/// can set back.
const std::vector<WayOfWriting> ways{{"pwrite", written_by_pwrite},
                                     {"another_process", written_by_a_child},
                                     {"o_direct", written_by_o_direct},
                                     {"io_uring", written_by_io_uring},
                                     {"copy_file_range", written_by_copy_file_range},
                                     {"punched_hole", holed},
                                     {"truncation", cut},
                                     {"append", appended},
                                     {"mapping_of_the_disk_file", stored_through_a_mapping},
                                     {"mtime_set_back", written_and_its_mtime_set_back}};

std::string name_of(const testing::TestParamInfo<WayOfWriting>& way) {
  return way.param.name;
}

class DiskWriters : public testing::TestWithParam<WayOfWriting> {
 protected:
  void SetUp() override { put_file(disk_.path("file"), content_); }
  Bytes content_ = random_bytes(file_bytes, 1);
  CacheOnDisk disk_{CacheOnDisk::config_of(std::uint64_t{4} << 20)};
};

INSTANTIATE_TEST_SUITE_P(Ways, DiskWriters, testing::ValuesIn(ways), name_of);

TEST_P(DiskWriters, what_was_frozen_stays_and_the_next_freeze_is_the_new_version) {
  auto file = disk_.open("file", O_RDONLY);
  const TakenSnapshot before = disk_.freeze(file);
  if (!GetParam().write(disk_.path("file"))) GTEST_SKIP() << "the file system refuses it";
  const Bytes changed = get_file(disk_.path("file"));
  ASSERT_NE(changed, content_);
  EXPECT_EQ(before.bytes(), content_);
  EXPECT_EQ(disk_.freeze(file).bytes(), changed);
  EXPECT_EQ(before.bytes(), content_);
}

TEST_P(DiskWriters, a_mapped_file_is_refused_from_then_on_and_what_was_frozen_stays) {
  auto file = disk_.open("file", O_RDWR);
  const auto span = file_map(file);
  if (!span) GTEST_SKIP() << span.error().message();
  const TakenSnapshot before = disk_.freeze(file);
  if (!GetParam().write(disk_.path("file"))) GTEST_SKIP() << "the file system refuses it";
  EXPECT_EQ(before.bytes(), content_);
  const auto frozen = disk_.cache().freeze(file, 0, file_bytes);
  if (GetParam().name == std::string("mtime_set_back")) {
    // Taken for a change of mode or owner; the cache's bytes are sent.
    ASSERT_TRUE(frozen) << frozen.error().message();
    EXPECT_EQ(TakenSnapshot(disk_.cache(), *frozen).bytes(), content_);
    return;
  }
  ASSERT_FALSE(frozen);
  EXPECT_EQ(frozen.error().errno_value, ESTALE);
}

/// A file that is read as it is sent.
class PagedFile {
 public:
  PagedFile() { put_file(path(), content_); }
  [[nodiscard]] std::string path() const { return disk_.path("file"); }
  std::shared_ptr<CachedFile> open() { return disk_.open("file", O_RDONLY); }
  TakenSnapshot freeze(std::shared_ptr<CachedFile>& file) { return disk_.freeze(file); }
  [[nodiscard]] const Bytes& content() const { return content_; }
  /// What a sender gets of the page: the outcome, and its first byte.
  PinOutcome look(const TakenSnapshot& snapshot, std::uint32_t page, std::byte& first) {
    for (;;) {
      FrameIndex frame;
      const PinOutcome outcome =
          disk_.cache().resolve_and_pin(snapshot.state(), PageIndex{page}, frame);
      if (outcome == PinOutcome::pinned) {
        first = disk_.cache().dma_view()[offset_of(frame).value];
        disk_.cache().unpin(frame);
      }
      if (outcome == PinOutcome::pinned || outcome == PinOutcome::revoked) return outcome;
      disk_.cache().wake_loader();
      std::this_thread::yield();
    }
  }

 private:
  static CacheConfig config() {
    CacheConfig config = CacheOnDisk::config_of(std::uint64_t{4} << 20);
    config.whole_file_bytes_max = page_bytes;
    return config;
  }
  Bytes content_ = random_bytes(file_bytes, 1);
  CacheOnDisk disk_{config()};
};

class PagedDiskWriters : public testing::TestWithParam<WayOfWriting> {
 protected:
  PagedFile paged_;
};

INSTANTIATE_TEST_SUITE_P(Ways, PagedDiskWriters, testing::ValuesIn(ways), name_of);

TEST_P(PagedDiskWriters, what_was_not_read_yet_is_gone_and_the_next_freeze_is_the_new_version) {
  auto file = paged_.open();
  {
    const TakenSnapshot before = paged_.freeze(file);
    if (!GetParam().write(paged_.path())) GTEST_SKIP() << "the file system refuses it";
    std::byte first{};
    EXPECT_EQ(paged_.look(before, 0, first), PinOutcome::revoked);
    EXPECT_EQ(snapshot_failure(before.state()), ESTALE);
  }
  EXPECT_EQ(paged_.freeze(file).bytes(), get_file(paged_.path()));
}

TEST(PagedFileNames, over_which_another_one_is_renamed_is_sent_to_its_end) {
  PagedFile paged;
  auto file = paged.open();
  const TakenSnapshot snapshot = paged.freeze(file);
  put_file(paged.path() + ".next", random_bytes(file_bytes, 2));
  std::filesystem::rename(paged.path() + ".next", paged.path());
  EXPECT_EQ(snapshot.bytes(), paged.content());
}

TEST(PagedFileNames, whose_mode_is_changed_is_sent_to_its_end) {
  PagedFile paged;
  auto file = paged.open();
  const TakenSnapshot snapshot = paged.freeze(file);
  ASSERT_EQ(::chmod(paged.path().c_str(), 0640), 0);
  EXPECT_EQ(snapshot.bytes(), paged.content());
}

TEST(PagedFileNames, that_gets_another_name_is_taken_for_changed) {
  PagedFile paged;
  auto file = paged.open();
  const TakenSnapshot snapshot = paged.freeze(file);
  std::filesystem::rename(paged.path(), paged.path() + ".away");
  std::byte first{};
  EXPECT_EQ(paged.look(snapshot, 0, first), PinOutcome::revoked);
  EXPECT_EQ(snapshot_failure(snapshot.state()), ESTALE);
}

// What the kernel does not tell of. Nothing in time stamps changes, so nobody can see it.

/// A store of the test's own through a mapping of the disk file, to a page that is dirty already.
class DirtyMapping {
 public:
  explicit DirtyMapping(const std::string& path) : fd_(::open(path.c_str(), O_RDWR | O_CLOEXEC)) {
    at_ = static_cast<std::byte*>(
        ::mmap(nullptr, file_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0));
  }
  DirtyMapping(const DirtyMapping&) = delete;
  DirtyMapping& operator=(const DirtyMapping&) = delete;
  ~DirtyMapping() { ::munmap(at_, file_bytes); }
  void store(char value) const {
    *static_cast<volatile std::byte*>(at_) = static_cast<std::byte>(value);
  }
  [[nodiscard]] FileIdentity identity() const {
    return CacheOnDisk::value(identify(fd_.get(), ""));
  }

 private:
  UniqueFd fd_;
  std::byte* at_ = nullptr;
};

TEST(DiskWritersUnseen, a_store_to_a_dirty_page_of_a_mapped_disk_file_changes_no_time_stamp) {
  const test::TempDir dir(".");
  put_file(dir.path("file"), random_bytes(file_bytes, 1));
  const DirtyMapping mapping(dir.path("file"));
  // Write-back in between would make the page clean again, so: in one of many tries.
  bool unseen = false;
  for (int i = 0; i < 100 && !unseen; ++i) {
    mapping.store('a');
    const FileIdentity before = mapping.identity();
    mapping.store('b');
    unseen = mapping.identity() == before;
  }
  EXPECT_TRUE(unseen);
}

TEST(DiskWritersUnseen, a_file_that_is_kept_whole_is_sent_as_it_was_loaded_all_the_same) {
  CacheOnDisk disk(CacheOnDisk::config_of(std::uint64_t{4} << 20));
  put_file(disk.path("file"), random_bytes(file_bytes, 1));
  const DirtyMapping mapping(disk.path("file"));
  mapping.store('a');
  auto file = disk.open("file", O_RDONLY);
  const TakenSnapshot snapshot = disk.freeze(file);
  mapping.store('b');
  EXPECT_EQ(snapshot.bytes().front(), std::byte{'a'});
}

TEST(DiskWritersUnseen, a_file_that_is_read_as_it_is_sent_may_be_sent_with_it) {
  PagedFile paged;
  const DirtyMapping mapping(paged.path());
  bool sent = false;
  for (int i = 0; i < 100 && !sent; ++i) {
    mapping.store('a');
    auto file = paged.open();
    const TakenSnapshot snapshot = paged.freeze(file);
    mapping.store('b');
    std::byte first{};
    sent = paged.look(snapshot, 0, first) == PinOutcome::pinned && first == std::byte{'b'};
  }
  EXPECT_TRUE(sent) << "docs/writes.md says that it may";
}

}  // namespace
}  // namespace strictsend::pagecache
