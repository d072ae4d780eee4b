// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <memory>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "base/unique_fd.hpp"
#include "pagecache/cache_core.hpp"
#include "pagecache/file_set.hpp"
#include "tests/kernel/uffd_lab.hpp"
#include "tests/support/temp_dir.hpp"

namespace strictsend::pagecache {
namespace {

using test::put_file;
using test::random_bytes;

/// A direct load stalls behind a writer that holds the inode lock while it faults. The load goes on
/// buffered, into other frames: the kernel may write to the first ones at any time.
TEST(StalledLoad, falls_back_and_keeps_the_frames_that_the_kernel_still_refers_to) {
  const test::TempDir dir(".");
  const auto content = random_bytes(40'000, 1);  // 10 pages
  put_file(dir.path("file"), content);
  if (!UniqueFd(::open(dir.path("file").c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC)).valid())
    GTEST_SKIP() << "the build directory's file system has no O_DIRECT";

  CacheConfig config;
  config.cache_bytes = 256 * page_bytes;
  config.spare_frames = 64;
  config.snapshots_max = 4;
  auto core = CacheCore::create(config);
  ASSERT_TRUE(core.has_value()) << core.error().message();
  LoadOptions options;
  options.direct_stall_limit = milliseconds(100);
  auto files = std::make_shared<FileSet>(*core, options);

  const test::UffdLab lab(1);
  const UniqueFd written(::open(dir.path("file").c_str(), O_WRONLY | O_CLOEXEC));
  std::thread writer(
      [&] { EXPECT_EQ(::pwrite(written.get(), lab.mapping(), page_bytes, 0), 4096); });
  ASSERT_TRUE(lab.wait_for_fault());

  auto backing = BackingFile::open(dir.path("file"), O_RDONLY);
  ASSERT_TRUE(backing.has_value());
  auto file = files->open(*std::move(backing));
  const std::uint64_t cached_while_stalled = (*core)->stats().frames_cached;
  std::vector<std::byte> bytes(content.size());
  if (file) {
    EXPECT_EQ(file_read(**file, bytes, 0).value_or(0), bytes.size());
  }

  lab.install(0, false);
  writer.join();
  ASSERT_TRUE(file.has_value()) << file.error().message();
  EXPECT_EQ(bytes, content);
  if (cached_while_stalled == 10) {
    GTEST_SKIP() << "direct reads here do not wait for the inode lock";
  }
  EXPECT_EQ(cached_while_stalled, 20U);
  // Once the kernel has let go of them, they come back.
  while ((*core)->stats().frames_cached != 10)
    files->drop_idle();
  EXPECT_TRUE((*core)->settle(seconds(60)));
  file->reset();
  files->drop_idle();
  EXPECT_EQ((*core)->stats().frames_cached, 0U);
  EXPECT_TRUE((*core)->settle(seconds(60)));
  files.reset();
  (*core)->shutdown();
}

}  // namespace
}  // namespace strictsend::pagecache
