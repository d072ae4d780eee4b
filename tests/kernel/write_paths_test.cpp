// SPDX-License-Identifier: Apache-2.0
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <liburing.h>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "base/unique_fd.hpp"
#include "tests/kernel/uffd_lab.hpp"
#include "tests/support/cache_on_disk.hpp"
#include "tests/support/temp_dir.hpp"

// Every way to write into a mapping, against a real mapping of a real cache with a live snapshot:
// caught (the snapshot keeps its bytes), refused by the kernel, or found by audit mode. And the
// public header says which.

namespace strictsend::pagecache {
namespace {

using test::CacheOnDisk;
using test::put_file;
using test::random_bytes;
using test::TakenSnapshot;
using test::UffdLab;
using Bytes = std::vector<std::byte>;

class WritePathsTest : public testing::Test {
 protected:
  void SetUp() override {
    put_file(disk_.path("file"), content_);
    put_file(disk_.path("other"), other_);
    file_ = disk_.open("file");
    auto span = file_map(file_);
    if (!span) GTEST_SKIP() << span.error().message();
    span_ = *span;
  }
  /// Makes the first page one that is written without a fault, as a hot page is.
  void touch_first_page() {
    content_[100] = std::byte{1};
    *static_cast<volatile std::byte*>(span_.data() + 100) = std::byte{1};
  }
  void freeze() { snapshot_.emplace(disk_.freeze(file_)); }

  void expect_caught(const Bytes& written) {
    EXPECT_EQ(std::memcmp(span_.data(), written.data(), written.size()), 0) << "it was written";
    expect_snapshot_intact();
    EXPECT_GT(snapshot_pages_preserved(snapshot_->state()), 0U);
    snapshot_.reset();
    EXPECT_TRUE(disk_.settles());
    EXPECT_EQ(disk_.cache().stats().audit_failures, 0U);
  }
  void expect_refused() {
    expect_snapshot_intact();
    EXPECT_EQ(CacheOnDisk::read(*file_), content_);
    snapshot_.reset();
    EXPECT_TRUE(disk_.settles());
    EXPECT_EQ(disk_.cache().stats().audit_failures, 0U);
  }
  /// The page under the snapshot changed, and audit mode says so.
  void expect_found_by_audit() {
    EXPECT_NE(snapshot_->bytes(), content_);
    snapshot_.reset();
    EXPECT_TRUE(disk_.settles());
    EXPECT_GT(disk_.cache().stats().audit_failures, 0U);
  }
  void expect_snapshot_intact() { EXPECT_EQ(snapshot_->bytes(), content_); }

  static CacheConfig config() {
    CacheConfig config = CacheOnDisk::config_of(std::uint64_t{4} << 20, 64);
    config.audit = true;
    return config;
  }
  Bytes content_ = random_bytes(4 * page_bytes, 1);
  Bytes other_ = random_bytes(page_bytes, 2);
  CacheOnDisk disk_{config()};
  std::shared_ptr<CachedFile> file_;
  std::span<std::byte> span_;
  std::optional<TakenSnapshot> snapshot_;
};

TEST_F(WritePathsTest, a_store_is_caught) {
  touch_first_page();
  freeze();
  std::memcpy(span_.data(), other_.data(), other_.size());
  expect_caught(other_);
}

TEST_F(WritePathsTest, read_2_into_it_is_caught) {
  touch_first_page();
  freeze();
  const UniqueFd fd(::open(disk_.path("other").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(::read(fd.get(), span_.data(), page_bytes), 4096)
      << "needs CAP_SYS_PTRACE or /dev/userfaultfd";
  expect_caught(other_);
}

TEST_F(WritePathsTest, an_o_direct_read_that_begins_after_the_freeze_is_caught) {
  touch_first_page();
  freeze();
  const UniqueFd fd(::open(disk_.path("other").c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
  if (!fd.valid()) GTEST_SKIP() << "the build directory's file system has no O_DIRECT";
  ASSERT_EQ(::pread(fd.get(), span_.data(), page_bytes, 0), 4096);
  expect_caught(other_);
}

TEST_F(WritePathsTest, an_io_uring_read_that_begins_after_the_freeze_is_caught) {
  touch_first_page();
  io_uring ring{};
  ASSERT_EQ(io_uring_queue_init(4, &ring, 0), 0);
  freeze();
  const UniqueFd fd(::open(disk_.path("other").c_str(), O_RDONLY | O_CLOEXEC));
  io_uring_prep_read(io_uring_get_sqe(&ring), fd.get(), span_.data(), page_bytes, 0);
  ASSERT_EQ(io_uring_submit(&ring), 1);
  io_uring_cqe* cqe = nullptr;
  ASSERT_EQ(io_uring_wait_cqe(&ring, &cqe), 0);
  EXPECT_EQ(cqe->res, 4096);
  io_uring_cqe_seen(&ring, cqe);
  io_uring_queue_exit(&ring);
  expect_caught(other_);
}

TEST_F(WritePathsTest, receiving_from_a_socket_into_it_is_caught) {
  touch_first_page();
  freeze();
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd near(ends[0]);
  const UniqueFd far(ends[1]);
  ASSERT_EQ(::send(near.get(), other_.data(), page_bytes, 0), 4096);
  ASSERT_EQ(::recv(far.get(), span_.data(), page_bytes, MSG_WAITALL), 4096);
  expect_caught(other_);
}

TEST_F(WritePathsTest, vmsplice_out_of_a_pipe_into_it_is_caught) {
  touch_first_page();
  freeze();
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd out(ends[0]);
  const UniqueFd in(ends[1]);
  ASSERT_EQ(::write(in.get(), other_.data(), page_bytes), 4096);
  const iovec into{span_.data(), page_bytes};
  ASSERT_EQ(::vmsplice(out.get(), &into, 1, 0), 4096);
  expect_caught(other_);
}

TEST_F(WritePathsTest, mprotect_and_back_leaves_it_watched) {
  touch_first_page();
  freeze();
  ASSERT_EQ(::mprotect(span_.data(), page_bytes, PROT_READ), 0);
  ASSERT_EQ(::mprotect(span_.data(), page_bytes, PROT_READ | PROT_WRITE), 0);
  std::memcpy(span_.data(), other_.data(), other_.size());
  expect_caught(other_);
}

TEST_F(WritePathsTest, madvise_dontneed_leaves_it_watched) {
  touch_first_page();
  freeze();
  ASSERT_EQ(::madvise(span_.data(), page_bytes, MADV_DONTNEED), 0);
  std::memcpy(span_.data(), other_.data(), other_.size());
  expect_caught(other_);
}

TEST_F(WritePathsTest, process_vm_writev_that_begins_after_the_freeze_is_caught) {
  touch_first_page();
  freeze();
  const iovec from{other_.data(), page_bytes};
  const iovec to{span_.data(), page_bytes};
  ASSERT_EQ(::process_vm_writev(::getpid(), &from, 1, &to, 1, 0), 4096);
  expect_caught(other_);
}

TEST_F(WritePathsTest, an_o_direct_read_that_is_in_flight_at_the_freeze_is_found_by_audit) {
  touch_first_page();
  const Bytes two = random_bytes(2 * page_bytes, 3);
  put_file(disk_.path("two"), two);
  const UniqueFd fd(::open(disk_.path("two").c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
  if (!fd.valid()) GTEST_SKIP() << "the build directory's file system has no O_DIRECT";
  // Page by page it pins what it reads into, then gives the device all: a second page that faults
  // holds it in between.
  const UffdLab second(1);
  std::thread reader([&] {
    const iovec into[2] = {{span_.data(), page_bytes}, {second.mapping(), page_bytes}};
    EXPECT_EQ(::preadv(fd.get(), into, 2, 0), 8192);
  });
  ASSERT_TRUE(second.wait_for_fault().has_value());
  freeze();
  second.install(0, false);
  reader.join();
  expect_found_by_audit();
}

TEST_F(WritePathsTest, process_vm_writev_that_pinned_before_the_freeze_is_found_by_audit) {
  touch_first_page();
  // It pins the target, then copies: a source that faults holds it in between.
  const UffdLab source(1);
  std::thread writer([&] {
    const iovec from{source.mapping(), page_bytes};
    const iovec to{span_.data(), page_bytes};
    EXPECT_EQ(::process_vm_writev(::getpid(), &from, 1, &to, 1, 0), 4096);
  });
  ASSERT_TRUE(source.wait_for_fault().has_value());
  freeze();
  source.install(0, false);
  writer.join();
  expect_found_by_audit();
}

TEST_F(WritePathsTest, proc_self_mem_is_refused) {
  freeze();
  const UniqueFd memory(::open("/proc/self/mem", O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(memory.valid());
  EXPECT_EQ(::pwrite(memory.get(), other_.data(), page_bytes,
                     static_cast<off_t>(UffdLab::address(span_.data()))),
            -1);
  EXPECT_EQ(errno, EIO);
  expect_refused();
}

TEST_F(WritePathsTest, a_debugger_that_pokes_is_refused) {
  freeze();
  const auto traced = static_cast<pid_t>(::syscall(SYS_gettid));
  const pid_t debugger = ::fork();
  ASSERT_GE(debugger, 0);
  if (debugger == 0) {
    int status = 0;
    if (::ptrace(PTRACE_ATTACH, traced, nullptr, nullptr) != 0) ::_exit(100);
    if (::waitpid(traced, &status, __WALL) != traced) ::_exit(101);
    errno = 0;
    const bool refused =
        ::ptrace(PTRACE_POKEDATA, traced, static_cast<void*>(span_.data()), nullptr) == -1;
    const int error = refused ? errno : 0;
    ::ptrace(PTRACE_DETACH, traced, nullptr, nullptr);
    ::_exit(error);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(debugger, &status, 0), debugger);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 100) GTEST_SKIP() << "a process may not trace its parent here";
  EXPECT_EQ(WEXITSTATUS(status), EIO);
  expect_refused();
}

TEST_F(WritePathsTest, punching_a_hole_through_it_is_refused) {
  freeze();
  EXPECT_EQ(::madvise(span_.data(), page_bytes, MADV_REMOVE), -1);
  EXPECT_EQ(errno, EPERM);
  expect_refused();
}

TEST_F(WritePathsTest, pwrite_on_the_arena_is_refused) {
  freeze();
  EXPECT_EQ(::pwrite(disk_.cache().arena_fd(), other_.data(), page_bytes, 4096), -1);
  EXPECT_EQ(errno, EPERM);
  expect_refused();
}

TEST_F(WritePathsTest, a_second_mapping_of_the_arena_is_refused) {
  freeze();
  const int fd = disk_.cache().arena_fd();
  const std::size_t bytes = disk_.cache().arena_bytes();
  EXPECT_EQ(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
  EXPECT_EQ(errno, EPERM);
  void* const readable = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
  ASSERT_NE(readable, MAP_FAILED);
  EXPECT_EQ(::mprotect(readable, bytes, PROT_READ | PROT_WRITE), -1);
  EXPECT_EQ(errno, EACCES);
  ::munmap(readable, bytes);
  expect_refused();
}

TEST_F(WritePathsTest, a_forked_child_has_no_mapping_to_write_to) {
  freeze();
  for (std::byte* const target : {span_.data(), disk_.cache().dma_view() + page_bytes}) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::signal(SIGSEGV, SIG_DFL);
      *static_cast<volatile std::byte*>(target) = std::byte{9};
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
  }
  expect_refused();
}

TEST_F(WritePathsTest, the_mapping_moved_by_mremap_is_found_by_audit) {
  freeze();
  void* const moved =
      ::mremap(span_.data(), page_bytes, page_bytes, MREMAP_MAYMOVE | MREMAP_FIXED,
               ::mmap(nullptr, page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(moved, MAP_FAILED);
  std::memcpy(moved, other_.data(), other_.size());
  expect_found_by_audit();
  ::munmap(moved, page_bytes);
}

TEST_F(WritePathsTest, what_is_mapped_over_it_with_map_fixed_is_no_longer_the_file) {
  freeze();
  ASSERT_EQ(::mmap(span_.data(), page_bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
            span_.data());
  std::memcpy(span_.data(), other_.data(), other_.size());
  expect_refused();
}

TEST_F(WritePathsTest, an_io_uring_fixed_buffer_pinned_before_the_freeze_is_found_by_audit) {
  touch_first_page();
  io_uring ring{};
  ASSERT_EQ(io_uring_queue_init(4, &ring, 0), 0);
  const iovec buffer{span_.data(), page_bytes};
  ASSERT_EQ(io_uring_register_buffers(&ring, &buffer, 1), 0);
  freeze();
  const UniqueFd fd(::open(disk_.path("other").c_str(), O_RDONLY | O_CLOEXEC));
  io_uring_sqe* const sqe = io_uring_get_sqe(&ring);
  io_uring_prep_read_fixed(sqe, fd.get(), span_.data(), page_bytes, 0, 0);
  ASSERT_EQ(io_uring_submit(&ring), 1);
  io_uring_cqe* cqe = nullptr;
  ASSERT_EQ(io_uring_wait_cqe(&ring, &cqe), 0);
  EXPECT_EQ(cqe->res, 4096);
  io_uring_cqe_seen(&ring, cqe);
  expect_found_by_audit();
  io_uring_queue_exit(&ring);
}

TEST_F(WritePathsTest, protection_lifted_with_another_userfaultfd_is_found_by_audit) {
  freeze();
  const UffdLab other(1);  // it has a userfaultfd of its own on this process
  EXPECT_EQ(other.register_range(span_.data(), page_bytes), EBUSY);
  ASSERT_EQ(other.write_protect(span_.data(), page_bytes, 0), 0);
  std::memcpy(span_.data(), other_.data(), other_.size());
  expect_found_by_audit();
}

TEST(WritePathsText, the_public_header_names_every_path) {
  std::ifstream in(STRICTSEND_FILE_HEADER);
  ASSERT_TRUE(in.is_open()) << STRICTSEND_FILE_HEADER;
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  for (const char* const path :
       {"read(2)", "O_DIRECT", "process_vm_writev", "/proc/self/mem", "pwrite", "second mapping",
        "forked child", "mremap", "MAP_FIXED", "io_uring", "userfaultfd", "EngineConfig::audit"})
    EXPECT_NE(text.find(path), std::string::npos) << path;
}

}  // namespace
}  // namespace strictsend::pagecache
