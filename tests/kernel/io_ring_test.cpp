// SPDX-License-Identifier: Apache-2.0
#include "pagecache/io_ring.hpp"

#include <algorithm>
#include <errno.h>
#include <fcntl.h>
#include <optional>
#include <stdlib.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "base/page.hpp"
#include "base/unique_fd.hpp"
#include "tests/kernel/uffd_lab.hpp"
#include "tests/support/temp_dir.hpp"

namespace strictsend::pagecache {
namespace {

using test::get_file;
using test::put_file;
using test::random_bytes;
using test::TempDir;

class IoRingTest : public testing::Test {
 protected:
  void SetUp() override {
    auto ring = IoRing::create();
    ASSERT_TRUE(ring.has_value()) << ring.error().message();
    ring_.emplace(std::move(*ring));
  }
  UniqueFd open(const std::string& name, int flags) {
    return UniqueFd(::open(dir_.path(name).c_str(), flags | O_CLOEXEC, 0600));
  }
  TempDir dir_{"."};
  std::optional<IoRing> ring_;
};

TEST_F(IoRingTest, reads_scattered_pieces_with_more_requests_than_slots) {
  const auto content =
      random_bytes(std::size_t{IoRing::request_bytes_max} * (IoRing::depth + 5) + 123, 1);
  put_file(dir_.path("file"), content);
  std::vector<std::byte> into(content.size());
  // Backwards in memory, so that a piece that lands in another's place shows.
  const std::size_t half = content.size() / 2;
  const std::size_t rest = content.size() - half;
  const IoPiece pieces[] = {{into.data() + rest, 0, half}, {into.data(), half, rest}};
  const UniqueFd fd = open("file", O_RDONLY);
  const IoOutcome outcome = ring_->run(IoDirection::read, fd.get(), pieces, 1, no_stall_limit);
  EXPECT_EQ(outcome.error, 0);
  EXPECT_EQ(outcome.bytes, content.size());
  EXPECT_TRUE(std::equal(content.data(), content.data() + half, into.data() + rest));
  EXPECT_TRUE(std::equal(content.data() + half, content.data() + content.size(), into.data()));
}

TEST_F(IoRingTest, writes_pieces_and_serves_one_transfer_after_another) {
  const auto content = random_bytes(1'000'003, 2);
  auto source = content;
  const UniqueFd fd = open("file", O_RDWR | O_CREAT);
  const IoPiece first[] = {{source.data(), 0, 500'000}};
  const IoPiece second[] = {{source.data() + 500'000, 500'000, 500'003}};
  EXPECT_EQ(ring_->run(IoDirection::write, fd.get(), first, 1, no_stall_limit).bytes, 500'000U);
  EXPECT_EQ(ring_->run(IoDirection::write, fd.get(), second, 1, no_stall_limit).bytes, 500'003U);
  EXPECT_EQ(get_file(dir_.path("file")), content);
}

TEST_F(IoRingTest, the_plain_transfer_without_a_ring_gives_the_same_answers) {
  auto content = random_bytes(1'000'003, 4);
  const UniqueFd fd = open("file", O_RDWR | O_CREAT);
  const IoPiece out[] = {{content.data(), 0, content.size()}};
  EXPECT_EQ(transfer_plainly(IoDirection::write, fd.get(), out).bytes, content.size());
  std::vector<std::byte> into(content.size() + 100);
  const IoPiece in[] = {{into.data(), 0, into.size()}};
  const IoOutcome outcome = transfer_plainly(IoDirection::read, fd.get(), in);
  EXPECT_EQ(outcome.bytes, content.size());
  EXPECT_TRUE(outcome.ended_early);
  EXPECT_TRUE(std::equal(content.begin(), content.end(), into.begin()));
  const UniqueFd full(::open("/dev/full", O_RDWR | O_CLOEXEC));
  EXPECT_EQ(transfer_plainly(IoDirection::write, full.get(), out).error, ENOSPC);
}

TEST_F(IoRingTest, a_file_that_is_shorter_than_asked_ends_early) {
  put_file(dir_.path("file"), random_bytes(5000, 1));
  std::vector<std::byte> into(16384);
  const IoPiece pieces[] = {{into.data(), 0, into.size()}};
  const UniqueFd fd = open("file", O_RDONLY);
  const IoOutcome outcome = ring_->run(IoDirection::read, fd.get(), pieces, 1, no_stall_limit);
  EXPECT_EQ(outcome.error, 0);
  EXPECT_EQ(outcome.bytes, 5000U);
  EXPECT_TRUE(outcome.ended_early);
}

TEST_F(IoRingTest, reports_the_errors_of_the_kernel) {
  std::vector<std::byte> memory(4096);
  // Nothing is mapped at address 0: /proc/self/mem answers EIO there, as a failing disk would.
  const UniqueFd unreadable(::open("/proc/self/mem", O_RDONLY | O_CLOEXEC));
  const IoPiece at_zero[] = {{memory.data(), 0, 4096}};
  EXPECT_EQ(ring_->run(IoDirection::read, unreadable.get(), at_zero, 1, no_stall_limit).error, EIO);
  const UniqueFd read_only = open("file", O_RDONLY | O_CREAT);
  EXPECT_EQ(ring_->run(IoDirection::write, read_only.get(), at_zero, 1, no_stall_limit).error,
            EBADF);
  const UniqueFd full(::open("/dev/full", O_RDWR | O_CLOEXEC));
  EXPECT_EQ(ring_->run(IoDirection::write, full.get(), at_zero, 1, no_stall_limit).error, ENOSPC);
  const IoPiece unmapped[] = {{nullptr, 0, 4096}};
  put_file(dir_.path("content"), random_bytes(4096, 1));
  const UniqueFd content = open("content", O_RDONLY);
  EXPECT_EQ(ring_->run(IoDirection::read, content.get(), unmapped, 1, no_stall_limit).error,
            EFAULT);
}

TEST_F(IoRingTest, a_read_that_waits_for_ever_times_out_and_is_cancelled) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  std::vector<std::byte> memory(4096);
  const IoPiece pieces[] = {{memory.data(), 0, 4096}};
  EXPECT_EQ(ring_->run(IoDirection::read, reader.get(), pieces, 1, milliseconds(50)).error,
            ETIMEDOUT);
  EXPECT_TRUE(ring_->drain(seconds(60))) << "a pipe read can be cancelled";
}

/// A writer whose buffer is a cold mapping holds the inode lock while it faults; a direct load of
/// the same file waits for that lock and cannot be cancelled, a buffered one goes through.
TEST_F(IoRingTest, a_direct_read_stalls_behind_a_writer_that_faults_and_a_buffered_one_does_not) {
  const auto content = random_bytes(65536, 3);
  put_file(dir_.path("file"), content);
  const UniqueFd direct = open("file", O_RDONLY | O_DIRECT);
  if (!direct.valid()) GTEST_SKIP() << "the build directory's file system has no O_DIRECT";
  const UniqueFd buffered = open("file", O_RDONLY);
  const UniqueFd written = open("file", O_WRONLY);

  const test::UffdLab lab(1);  // its first touch faults, and nobody answers yet
  std::thread writer(
      [&] { EXPECT_EQ(::pwrite(written.get(), lab.mapping(), page_bytes, 0), 4096); });
  ASSERT_TRUE(lab.wait_for_fault());

  void* aligned = nullptr;
  ASSERT_EQ(::posix_memalign(&aligned, page_bytes, content.size()), 0);
  const IoPiece pieces[] = {{static_cast<std::byte*>(aligned), 0, content.size()}};
  const IoOutcome stalled =
      ring_->run(IoDirection::read, direct.get(), pieces, 512, milliseconds(200));
  const bool still_waits = !ring_->drain(milliseconds(20));

  std::vector<std::byte> copy(content.size());
  const IoPiece fallback[] = {{copy.data(), 0, copy.size()}};
  auto second = IoRing::create();
  ASSERT_TRUE(second.has_value());
  const IoOutcome fallen_back =
      second->run(IoDirection::read, buffered.get(), fallback, 1, seconds(10));

  lab.install(0, false);
  writer.join();
  EXPECT_TRUE(ring_->drain(seconds(60)));
  EXPECT_EQ(ring_->in_flight(), 0U);
  ::free(aligned);
  if (stalled.error == 0) GTEST_SKIP() << "direct reads here do not wait for the inode lock";
  EXPECT_EQ(stalled.error, ETIMEDOUT);
  EXPECT_TRUE(still_waits);
  EXPECT_EQ(fallen_back.error, 0);
  EXPECT_EQ(copy, content);
}

}  // namespace
}  // namespace strictsend::pagecache
