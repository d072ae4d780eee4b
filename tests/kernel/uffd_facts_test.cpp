// SPDX-License-Identifier: Apache-2.0
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "base/unique_fd.hpp"
#include "tests/kernel/uffd_lab.hpp"
#include "tests/support/temp_dir.hpp"

// What the page cache believes of userfaultfd, memfd seals and mremap, each as small as it can be
// shown. A kernel on which one of these fails must not run the write guard.

namespace strictsend {
namespace {

using test::UffdLab;

/// A thread that makes the guarded access, so that the test can be the guard.
class Writer {
 public:
  template <class Access>
  explicit Writer(Access access)
      : thread_([this, access] {
          result_ = access();
          done_.store(true, std::memory_order_release);
        }) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() {
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] bool done() const { return done_.load(std::memory_order_acquire); }
  long join() {
    thread_.join();
    return result_;
  }

 private:
  std::atomic<bool> done_{false};
  long result_ = 0;
  std::thread thread_;
};

long store(std::byte* at, int value) {
  *static_cast<volatile std::byte*>(at) = static_cast<std::byte>(value);
  return 0;
}

std::size_t vmas_over(const void* begin, std::size_t bytes) {
  std::ifstream maps("/proc/self/maps");
  std::size_t count = 0;
  for (std::string line; std::getline(maps, line);) {
    std::istringstream in(line);
    std::uint64_t from = 0;
    std::uint64_t to = 0;
    char dash = 0;
    in >> std::hex >> from >> dash >> to;
    const std::uint64_t at = UffdLab::address(begin);
    if (from < at + bytes && to > at) ++count;
  }
  return count;
}

TEST(UffdFacts, a_store_to_a_protected_shared_page_waits_until_protection_is_lifted) {
  const UffdLab lab(2);
  ASSERT_EQ(lab.install(0, true, 2), 0);
  Writer writer([&] { return store(lab.mapping(1), 99); });
  const auto fault = lab.wait_for_fault();
  ASSERT_TRUE(fault.has_value());
  EXPECT_TRUE(fault->write_protected);
  EXPECT_EQ(fault->page, 1U);
  EXPECT_EQ(*lab.view(1), std::byte{2}) << "the old byte is still there to be kept";
  EXPECT_FALSE(writer.done());
  EXPECT_EQ(lab.unprotect(1), 0);
  writer.join();
  EXPECT_EQ(*lab.view(1), std::byte{99});
}

TEST(UffdFacts, reading_a_protected_page_and_writing_through_another_view_do_not_fault) {
  const UffdLab lab(1);
  ASSERT_EQ(lab.install(0, true), 0);
  EXPECT_EQ(*lab.mapping(), std::byte{1});
  store(lab.view(), 42);
  EXPECT_EQ(*lab.mapping(), std::byte{42});
  EXPECT_FALSE(lab.fault_is_waiting());
}

TEST(UffdFacts, a_page_without_entry_raises_a_minor_fault_and_continue_installs_it_protected) {
  const UffdLab lab(1);
  Writer writer([&] { return store(lab.mapping(), 7); });
  auto fault = lab.wait_for_fault();
  ASSERT_TRUE(fault.has_value());
  EXPECT_TRUE(fault->minor);
  ASSERT_EQ(lab.install(0, true), 0);
  fault = lab.wait_for_fault();
  ASSERT_TRUE(fault.has_value()) << "the woken writer meets the protection";
  EXPECT_TRUE(fault->write_protected);
  EXPECT_EQ(*lab.view(), std::byte{1});
  EXPECT_EQ(lab.unprotect(0), 0);
  writer.join();
  EXPECT_EQ(*lab.view(), std::byte{7});
}

TEST(UffdFacts, continue_without_mode_wp_silently_drops_the_protection_of_an_absent_page) {
  const UffdLab lab(1);
  ASSERT_EQ(lab.install(0, true), 0);
  ASSERT_EQ(::madvise(lab.mapping(), page_bytes, MADV_DONTNEED), 0);  // the marker stays
  ASSERT_EQ(lab.install(0, false), 0);
  store(lab.mapping(), 5);  // would hang if it were protected
  EXPECT_EQ(*lab.view(), std::byte{5});
  EXPECT_FALSE(lab.fault_is_waiting());
}

TEST(UffdFacts, dropping_the_entry_of_a_protected_page_keeps_it_watched) {
  const UffdLab lab(1);
  ASSERT_EQ(lab.install(0, true), 0);
  ASSERT_EQ(::madvise(lab.mapping(), page_bytes, MADV_DONTNEED), 0);
  Writer writer([&] { return store(lab.mapping(), 5); });
  ASSERT_TRUE(lab.wait_for_fault().has_value());
  EXPECT_EQ(*lab.view(), std::byte{1});
  lab.install(0, false);
  lab.unprotect(0);
  writer.join();
  EXPECT_EQ(*lab.view(), std::byte{5});
}

TEST(UffdFacts, continue_answers_eexist_for_a_page_that_was_touched_before) {
  const UffdLab lab(2);
  // The window rule's test: between mremap and register the page was written.
  lab.duplicate(1, page_bytes, lab.mapping(1));
  store(lab.mapping(1), 50);
  ASSERT_EQ(lab.register_range(lab.mapping(1), page_bytes), 0);
  EXPECT_EQ(lab.install(1, true), EEXIST);
  store(lab.mapping(1), 51);  // and EEXIST left it unprotected
  EXPECT_EQ(*lab.view(1), std::byte{51});
  // Untouched, it is installed protected.
  lab.duplicate(0, page_bytes, lab.mapping(0));
  ASSERT_EQ(lab.register_range(lab.mapping(0), page_bytes), 0);
  EXPECT_EQ(lab.install(0, true), 0);
}

TEST(UffdFacts, a_range_moved_by_mremap_is_unwatched_until_it_is_registered) {
  const UffdLab lab(1);
  ASSERT_EQ(lab.install(0, true), 0);
  lab.duplicate(0, page_bytes, lab.mapping(0));
  store(lab.mapping(), 9);
  EXPECT_EQ(*lab.view(), std::byte{9});
  EXPECT_FALSE(lab.fault_is_waiting());
}

TEST(UffdFacts, the_seal_refuses_new_ways_to_write_but_not_a_duplicate_of_an_old_mapping) {
  const UffdLab lab(2);
  EXPECT_EQ(::mmap(nullptr, lab.bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, lab.memfd(), 0),
            MAP_FAILED);
  EXPECT_EQ(errno, EPERM);
  void* const readable = ::mmap(nullptr, lab.bytes(), PROT_READ, MAP_SHARED, lab.memfd(), 0);
  ASSERT_NE(readable, MAP_FAILED);
  EXPECT_EQ(::mprotect(readable, lab.bytes(), PROT_READ | PROT_WRITE), -1);
  EXPECT_EQ(errno, EACCES);
  ::munmap(readable, lab.bytes());
  EXPECT_EQ(::pwrite(lab.memfd(), "x", 1, 0), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::ftruncate(lab.memfd(), 4096), -1);
  EXPECT_EQ(errno, EPERM);
  EXPECT_EQ(::fallocate(lab.memfd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), -1);
  EXPECT_EQ(errno, EPERM);

  std::byte* const copy = lab.duplicate(1, page_bytes);
  store(copy, 77);
  EXPECT_EQ(*lab.view(1), std::byte{77});
  ::munmap(copy, page_bytes);
}

TEST(UffdFacts, write_protecting_answers_0_over_a_hole_and_protects_what_is_there) {
  const UffdLab lab(3);
  ASSERT_EQ(lab.install(0, false, 3), 0);
  ASSERT_EQ(::munmap(lab.mapping(1), page_bytes), 0);
  EXPECT_EQ(lab.protect(0, 3), 0) << "so 0 is no proof that everything is protected";
  Writer writer([&] { return store(lab.mapping(2), 5); });
  EXPECT_TRUE(lab.wait_for_fault().has_value());
  lab.unprotect(2);
}

TEST(UffdFacts, write_protecting_over_an_unregistered_range_is_enoent_and_half_done) {
  const UffdLab lab(3);
  lab.duplicate(1, page_bytes, lab.mapping(1));  // unregistered
  ASSERT_EQ(lab.install(0, false), 0);
  ASSERT_EQ(lab.install(2, false), 0);
  EXPECT_EQ(lab.protect(0, 3), ENOENT);
  store(lab.mapping(1), 50);
  store(lab.mapping(2), 51);  // behind the gap: not protected
  EXPECT_EQ(*lab.view(2), std::byte{51});
  Writer writer([&] { return store(lab.mapping(0), 5); });
  const auto fault = lab.wait_for_fault();
  ASSERT_TRUE(fault.has_value()) << "before the gap: protected";
  EXPECT_EQ(fault->page, 0U);
  lab.unprotect(0);
}

TEST(UffdFacts, one_call_protects_over_many_vmas_but_continue_takes_one) {
  constexpr std::size_t pages = 64;
  const UffdLab lab(pages);
  for (std::size_t page = 0; page < pages; page += 2) {
    lab.duplicate(pages - 1 - page, page_bytes, lab.mapping(page));
    ASSERT_EQ(lab.register_range(lab.mapping(page), page_bytes), 0);
  }
  EXPECT_GE(vmas_over(lab.mapping(), lab.bytes()), pages / 2);
  EXPECT_EQ(lab.install(0, false, pages), ENOENT) << "CONTINUE, in contrast, stays in one VMA";
  for (std::size_t page = 0; page < pages; ++page)
    ASSERT_EQ(lab.install(page, false), 0);
  ASSERT_EQ(lab.protect(0, pages), 0);
  for (std::size_t page = 0; page < pages; ++page) {
    Writer writer([&] { return store(lab.mapping(page), 5); });
    const auto fault = lab.wait_for_fault();
    ASSERT_TRUE(fault.has_value());
    EXPECT_EQ(fault->page, page);
    lab.unprotect(page);
  }
}

TEST(UffdFacts, vmas_merge_again_when_a_page_comes_home) {
  const UffdLab lab(9);
  ASSERT_EQ(lab.install(0, true, 9), 0);
  const std::size_t at_first = vmas_over(lab.mapping(), lab.bytes());
  lab.duplicate(8, page_bytes, lab.mapping(4));
  ASSERT_EQ(lab.register_range(lab.mapping(4), page_bytes), 0);
  EXPECT_EQ(vmas_over(lab.mapping(), lab.bytes()), at_first + 2);
  lab.duplicate(4, page_bytes, lab.mapping(4));
  ASSERT_EQ(lab.register_range(lab.mapping(4), page_bytes), 0);
  EXPECT_EQ(vmas_over(lab.mapping(), lab.bytes()), at_first);
}

TEST(UffdFacts, read_2_into_a_protected_page_waits_for_the_guard) {
  const UffdLab lab(1);
  ASSERT_EQ(lab.install(0, true), 0);
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd filled(ends[1]);
  ASSERT_EQ(::write(filled.get(), "hello", 5), 5);
  Writer writer([&] { return ::read(reader.get(), lab.mapping(), 5); });
  const auto fault = lab.wait_for_fault();
  if (!fault.has_value()) GTEST_FAIL() << "needs CAP_SYS_PTRACE or /dev/userfaultfd";
  EXPECT_TRUE(fault->write_protected);
  EXPECT_EQ(*lab.view(), std::byte{1});
  lab.unprotect(0);
  EXPECT_EQ(writer.join(), 5);
  EXPECT_EQ(std::memcmp(lab.view(), "hello", 5), 0);
}

TEST(UffdFacts, an_o_direct_read_that_pins_after_protecting_waits_for_the_guard) {
  const test::TempDir dir(".");
  test::put_file(dir.path("file"), test::random_bytes(4096, 1));
  const UniqueFd direct(::open(dir.path("file").c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
  if (!direct.valid()) GTEST_SKIP() << "the build directory's file system has no O_DIRECT";
  const UffdLab lab(1);
  ASSERT_EQ(lab.install(0, true), 0);
  Writer writer([&] { return ::pread(direct.get(), lab.mapping(), 4096, 0); });
  const auto fault = lab.wait_for_fault();
  ASSERT_TRUE(fault.has_value());
  EXPECT_TRUE(fault->write_protected);
  EXPECT_EQ(*lab.view(), std::byte{1});
  lab.unprotect(0);
  EXPECT_EQ(writer.join(), 4096);
  EXPECT_EQ(std::memcmp(lab.view(), test::get_file(dir.path("file")).data(), 4096), 0);
}

TEST(UffdFacts, proc_self_mem_gets_eio_from_a_protected_page) {
  const UffdLab lab(1);
  ASSERT_EQ(lab.install(0, true), 0);
  const UniqueFd memory(::open("/proc/self/mem", O_RDWR | O_CLOEXEC));
  ASSERT_TRUE(memory.valid());
  EXPECT_EQ(::pwrite(memory.get(), "x", 1, static_cast<off_t>(UffdLab::address(lab.mapping()))),
            -1);
  EXPECT_EQ(errno, EIO);
  EXPECT_EQ(*lab.view(), std::byte{1});
}

TEST(UffdFacts, a_forked_child_inherits_neither_the_pool_view_nor_what_is_duplicated_from_it) {
  const UffdLab lab(1);
  ASSERT_EQ(lab.install(0, true), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::signal(SIGSEGV, SIG_DFL);  // a sanitizer's handler would report it
    store(lab.mapping(), 66);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGSEGV);
  EXPECT_EQ(*lab.view(), std::byte{1});
}

}  // namespace
}  // namespace strictsend
