// SPDX-License-Identifier: Apache-2.0
// The engine thread's rules: no allocation, and no system call but the ring kick and the event
// notification, whatever passes through.
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/allocation_count.hpp"
#include "tests/support/discard_engine.hpp"
#include "tests/support/temp_file.hpp"

namespace strictsend::testing {
namespace {

// linux/prctl.h of Debian 12 has these; named here for the reader (Syscall User Dispatch,
// Documentation/admin-guide/syscall-user-dispatch.rst).
volatile char selector = SYSCALL_DISPATCH_FILTER_ALLOW;
std::array<int, 64> trapped;
volatile std::size_t trapped_count = 0;

/// A blocked system call: noted, and not carried out.
void on_trap(int, siginfo_t* info, void*) {
  selector = SYSCALL_DISPATCH_FILTER_ALLOW;  // for the return from this handler
  if (trapped_count < trapped.size()) {
    trapped[trapped_count] = info->si_syscall;
    trapped_count = trapped_count + 1;
  }
}

struct Form {
  const char* name;
  bool linear;
  bool segmentation;
};
class Datapath : public ::testing::TestWithParam<Form> {};
INSTANTIATE_TEST_SUITE_P(Forms, Datapath,
                         ::testing::Values(Form{"fragments", false, false},
                                           Form{"linear", true, false}, Form{"cut", false, true}),
                         [](const auto& form) { return form.param.name; });

TEST_P(Datapath, polling_allocates_nothing_and_calls_the_kernel_only_to_notify) {
  struct sigaction action = {};
  action.sa_sigaction = on_trap;
  action.sa_flags = SA_SIGINFO;
  ASSERT_EQ(::sigaction(SIGSYS, &action, nullptr), 0);
  ASSERT_EQ(::prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &selector), 0)
      << "needs Linux 5.11 on x86";
  trapped_count = 0;

  TempFile disk;
  disk.write(std::vector<std::byte>(100'000, std::byte{7}));
  DiscardEngine engine({.path = disk.path(),
                        .connections = 8,
                        .cache_bytes = 16 << 20,
                        .linear = GetParam().linear,
                        .checksum_offload = GetParam().segmentation,
                        .segmentation = GetParam().segmentation});
  Time now{};
  std::uint64_t allocations = 0;
  while (engine.released() < 200) {
    now = now + microseconds(10);
    const std::uint64_t before = test::allocation_count();
    selector = SYSCALL_DISPATCH_FILTER_BLOCK;
    engine.poll(now);
    selector = SYSCALL_DISPATCH_FILTER_ALLOW;
    allocations += test::allocation_count() - before;
    engine.serve();
    if (engine.released() == 100) {
      // A writer comes by, so that history is read and frames change under the sender.
      const std::vector<std::byte> other(100'000, std::byte{8});
      ASSERT_TRUE(pagecache::file_write(*engine.file(), other, 0));
    }
    ASSERT_LT(now, Time{} + seconds(60)) << "it does not get on";
  }
  ASSERT_EQ(::prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, 0), 0);
  EXPECT_EQ(allocations, 0U);
  const std::uint64_t segment_bytes = engine.peer().payload_bytes() / engine.peer().data_segments();
  EXPECT_EQ(segment_bytes > 1460, GetParam().segmentation) << segment_bytes;
  EXPECT_GT(trapped_count, 0U) << "notifying is a system call: the trap works";
  const std::set<int> calls(trapped.begin(), trapped.begin() + trapped_count);
  EXPECT_EQ(calls, std::set<int>{SYS_write});
}

}  // namespace
}  // namespace strictsend::testing
