// SPDX-License-Identifier: Apache-2.0
#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <exception>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>

#include "tests/kernel/uffd_lab.hpp"

// A program of its own, and not for sanitizers: their allocators need mappings while there are none
// to be had.

namespace strictsend {
namespace {

using test::UffdLab;

TEST(VmaLimit, mremap_fails_there_before_it_touches_its_target) {
  constexpr std::size_t filler_pages = 70'000;
  std::ifstream limit_file("/proc/sys/vm/max_map_count");
  std::size_t limit = 0;
  limit_file >> limit;
  if (limit > filler_pages) GTEST_SKIP() << "vm.max_map_count is " << limit << ", too many to fill";
  const UffdLab lab(3);
  ASSERT_EQ(lab.install(0, true, 3), 0);
  // Alternating protections cannot merge. From here to the munmap nothing may allocate.
  auto* const filler =
      static_cast<std::byte*>(::mmap(nullptr, filler_pages * page_bytes, PROT_NONE,
                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  ASSERT_NE(filler, MAP_FAILED);
  int fill_error = 0;
  for (std::size_t page = 0; page < filler_pages && fill_error == 0; page += 2)
    if (::mprotect(filler + page * page_bytes, page_bytes, PROT_READ) != 0) fill_error = errno;
  // pool_ stands beside view_: a duplicate in the middle of the mapping needs two VMAs more.
  int moved_error = 0;
  try {
    lab.duplicate(0, page_bytes, lab.mapping(1));
  } catch (const std::exception&) {
    moved_error = errno;
  }
  const std::byte still_there = *lab.mapping(1);
  ::munmap(filler, filler_pages * page_bytes);
  EXPECT_EQ(fill_error, ENOMEM);
  EXPECT_EQ(moved_error, ENOMEM);
  EXPECT_EQ(still_there, std::byte{2});
  std::thread writer([&] { *static_cast<volatile std::byte*>(lab.mapping(1)) = std::byte{5}; });
  EXPECT_TRUE(lab.wait_for_fault().has_value()) << "and it is still protected";
  lab.unprotect(1);
  writer.join();
  EXPECT_EQ(*lab.view(1), std::byte{5});
}

}  // namespace
}  // namespace strictsend
