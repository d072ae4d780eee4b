// SPDX-License-Identifier: Apache-2.0
#include "pagecache/file_loader.hpp"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <algorithm>
#include <errno.h>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <stdlib.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/temp_dir.hpp"

namespace strictsend::pagecache {
namespace {

using test::get_file;
using test::put_file;
using test::random_bytes;
using test::TempDir;

/// Page-aligned heap memory in pieces of at most `piece_pages`, filled with a pattern that a load
/// must overwrite or clear.
class MemoryTarget : public LoadTarget {
 public:
  explicit MemoryTarget(std::uint64_t piece_pages) : piece_pages_(piece_pages) {}
  Result<std::span<const IoPiece>> provide(std::uint64_t size_bytes) override {
    ++provided;
    if (on_provide) on_provide(provided);
    pieces_.clear();
    const std::uint64_t bytes = pages_for(size_bytes) * page_bytes;
    memory_.reset(static_cast<std::byte*>(
        ::aligned_alloc(page_bytes, std::max<std::uint64_t>(bytes, page_bytes))));
    std::fill_n(memory_.get(), bytes, std::byte{0xee});
    for (std::uint64_t at = 0; at < bytes; at += piece_pages_ * page_bytes)
      pieces_.push_back({memory_.get() + at, at, std::min(bytes - at, piece_pages_ * page_bytes)});
    return std::span<const IoPiece>(pieces_);
  }
  void abandon(IoRing) override { ADD_FAILURE() << "no read can stall here"; }

  [[nodiscard]] std::vector<std::byte> bytes(std::uint64_t count) const {
    return {memory_.get(), memory_.get() + count};
  }

  int provided = 0;
  std::function<void(int)> on_provide;

 private:
  struct Free {
    void operator()(std::byte* memory) const { ::free(memory); }
  };
  std::uint64_t piece_pages_;
  std::unique_ptr<std::byte, Free> memory_;
  std::vector<IoPiece> pieces_;
};

/// On a disk file system (the build directory's) and on tmpfs.
class FileLoaderTest : public testing::TestWithParam<const char*> {
 protected:
  TempDir dir_{GetParam()};
};

TEST_P(FileLoaderTest, loads_every_size_and_clears_the_rest_of_the_last_page) {
  for (const bool direct : {true, false}) {
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1}, std::size_t{511}, std::size_t{512}, std::size_t{4095},
          std::size_t{4096}, std::size_t{4097}, std::size_t{8192}, std::size_t{300'001},
          std::size_t{10} << 20}) {
      SCOPED_TRACE(testing::Message() << size << (direct ? " direct" : " buffered"));
      const std::string path = dir_.path("file");
      const auto content = random_bytes(size, size);
      put_file(path, content);
      auto file = BackingFile::open(path, O_RDONLY);
      ASSERT_TRUE(file.has_value());
      MemoryTarget target(37);
      LoadOptions options;
      options.direct = direct;
      auto result = load_file(*file, target, options);
      ASSERT_TRUE(result.has_value()) << result.error().message();
      EXPECT_EQ(result->identity.size_bytes, size);
      EXPECT_EQ(target.bytes(size), content);
      const auto all = target.bytes(pages_for(size) * page_bytes);
      EXPECT_TRUE(std::all_of(all.begin() + static_cast<std::ptrdiff_t>(size), all.end(),
                              [](std::byte b) { return b == std::byte{0}; }));
      EXPECT_FALSE(result->mode.empty());
    }
  }
}

TEST_P(FileLoaderTest, loads_again_when_the_file_changes_meanwhile) {
  const std::string path = dir_.path("file");
  put_file(path, random_bytes(10'000, 1));
  auto file = BackingFile::open(path, O_RDONLY);
  ASSERT_TRUE(file.has_value());
  const auto later = random_bytes(20'000, 2);
  MemoryTarget target(4);
  target.on_provide = [&](int time) {
    if (time == 1) put_file(path, later);
  };
  auto result = load_file(*file, target, {});
  ASSERT_TRUE(result.has_value()) << result.error().message();
  EXPECT_EQ(target.provided, 2);
  EXPECT_EQ(target.bytes(later.size()), later);
}

TEST_P(FileLoaderTest, loads_again_when_the_file_shrinks_meanwhile) {
  const std::string path = dir_.path("file");
  put_file(path, random_bytes(10'000, 1));
  auto file = BackingFile::open(path, O_RDONLY);
  ASSERT_TRUE(file.has_value());
  MemoryTarget target(4);
  target.on_provide = [&](int time) {
    if (time == 1) {
      ASSERT_EQ(::truncate(path.c_str(), 17), 0);
    }
  };
  auto result = load_file(*file, target, {});
  ASSERT_TRUE(result.has_value()) << result.error().message();
  EXPECT_EQ(result->identity.size_bytes, 17U);
  EXPECT_EQ(target.bytes(17), get_file(path));
}

TEST_P(FileLoaderTest, gives_up_on_a_file_that_never_stands_still) {
  const std::string path = dir_.path("file");
  put_file(path, random_bytes(100, 1));
  auto file = BackingFile::open(path, O_RDONLY);
  ASSERT_TRUE(file.has_value());
  MemoryTarget target(4);
  target.on_provide = [&](int time) {
    put_file(path, random_bytes(100, static_cast<std::uint64_t>(time)));
  };
  LoadOptions options;
  options.tries_max = 3;
  auto result = load_file(*file, target, options);
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().errno_value, EAGAIN);
  EXPECT_NE(result.error().hint.find("another process"), std::string::npos);
  EXPECT_EQ(target.provided, 3);
}

std::string name_of(const testing::TestParamInfo<const char*>& parameter) {
  return std::string(parameter.param) == "." ? "disk" : "tmpfs";
}
INSTANTIATE_TEST_SUITE_P(OnDiskAndTmpfs, FileLoaderTest, testing::Values(".", "/dev/shm"), name_of);

TEST(FileLoader, reads_directly_where_the_file_system_says_it_can) {
  TempDir dir(".");
  struct statfs fs {};
  ASSERT_EQ(::statfs(dir.path().c_str(), &fs), 0);
  if (fs.f_type != EXT4_SUPER_MAGIC && fs.f_type != XFS_SUPER_MAGIC)
    GTEST_SKIP() << "the build directory is on neither ext4 nor xfs";
  put_file(dir.path("file"), random_bytes(5000, 1));
  auto file = BackingFile::open(dir.path("file"), O_RDONLY);
  ASSERT_TRUE(file.has_value());
  MemoryTarget target(4);
  auto result = load_file(*file, target, {});
  ASSERT_TRUE(result.has_value());
  EXPECT_NE(result->mode.find("direct"), std::string::npos) << result->mode;
}

TEST(BackingFile, refuses_what_is_no_regular_file_and_says_what_it_is) {
  TempDir dir;
  ASSERT_EQ(::mkfifo(dir.path("fifo").c_str(), 0600), 0);
  struct Case {
    std::string path;
    int error;
    std::string says;
  };
  for (const Case& c :
       {Case{dir.path(), EISDIR, "directory"}, Case{dir.path("fifo"), EINVAL, "FIFO"},
        Case{"/dev/zero", EINVAL, "device"}, Case{dir.path("missing"), ENOENT, "no such file"}}) {
    SCOPED_TRACE(c.path);
    auto file = BackingFile::open(c.path, O_RDONLY);
    ASSERT_FALSE(file.has_value());
    EXPECT_EQ(file.error().errno_value, c.error);
    EXPECT_NE(file.error().message().find(c.says), std::string::npos) << file.error().message();
    EXPECT_NE(file.error().message().find(c.path), std::string::npos);
  }
}

TEST(BackingFile, refuses_flags_that_it_cannot_honour) {
  TempDir dir;
  put_file(dir.path("file"), random_bytes(10, 1));
  ASSERT_EQ(::symlink("file", dir.path("link").c_str()), 0);
  for (const int flags : {O_WRONLY, O_RDWR | O_CREAT, O_RDWR | O_TRUNC, O_RDWR | O_APPEND}) {
    auto file = BackingFile::open(dir.path("file"), flags);
    ASSERT_FALSE(file.has_value());
    EXPECT_EQ(file.error().errno_value, EINVAL);
    EXPECT_FALSE(file.error().hint.empty());
  }
  EXPECT_EQ(get_file(dir.path("file")).size(), 10U) << "nothing was truncated";
  EXPECT_TRUE(BackingFile::open(dir.path("link"), O_RDONLY).has_value());
  auto link = BackingFile::open(dir.path("link"), O_RDONLY | O_NOFOLLOW);
  ASSERT_FALSE(link.has_value());
  EXPECT_EQ(link.error().errno_value, ELOOP);
}

TEST(BackingFile, takes_descriptors_but_no_write_only_ones) {
  TempDir dir;
  put_file(dir.path("file"), random_bytes(10, 1));
  UniqueFd reader(::open(dir.path("file").c_str(), O_RDONLY | O_CLOEXEC));
  auto file = BackingFile::from_descriptor(reader.get());
  ASSERT_TRUE(file.has_value());
  EXPECT_FALSE(file->writable());
  EXPECT_NE(file->fd(), reader.get());
  UniqueFd writer(::open(dir.path("file").c_str(), O_WRONLY | O_CLOEXEC));
  file = BackingFile::from_descriptor(writer.get());
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().errno_value, EBADF);
  UniqueFd place(::open(dir.path("file").c_str(), O_PATH | O_CLOEXEC));
  file = BackingFile::from_descriptor(place.get());
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().errno_value, EBADF);
  file = BackingFile::from_descriptor(-1);
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().errno_value, EBADF);
}

TEST(BackingFile, writes_where_it_is_told_though_the_given_descriptor_appends) {
  TempDir dir;
  put_file(dir.path("file"), random_bytes(10, 1));
  UniqueFd appender(::open(dir.path("file").c_str(), O_RDWR | O_APPEND | O_CLOEXEC));
  auto file = BackingFile::from_descriptor(appender.get());
  ASSERT_TRUE(file.has_value());
  EXPECT_TRUE(file->writable());
  ASSERT_EQ(::pwrite(file->fd(), "x", 1, 0), 1);
  EXPECT_EQ(get_file(dir.path("file")).size(), 10U);
}

}  // namespace
}  // namespace strictsend::pagecache
