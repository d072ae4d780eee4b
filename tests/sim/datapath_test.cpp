// SPDX-License-Identifier: Apache-2.0
// The engine thread's rules: no allocation, and no system call but the ring kick and the event
// notification, whatever passes through.
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "nic/wire/arp_packet.hpp"
#include "nic/wire/icmp_echo.hpp"
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

/// Turns of an engine during which every system call is trapped and every allocation counted.
class WatchedTurns {
 public:
  WatchedTurns() {
    struct sigaction action = {};
    action.sa_sigaction = on_trap;
    action.sa_flags = SA_SIGINFO;
    trapped_count = 0;
    ready_ = ::sigaction(SIGSYS, &action, nullptr) == 0 &&
             ::prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &selector) == 0;
  }
  WatchedTurns(const WatchedTurns&) = delete;
  WatchedTurns& operator=(const WatchedTurns&) = delete;
  ~WatchedTurns() { ::prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, 0); }

  [[nodiscard]] bool ready() const { return ready_; }
  void turn(DiscardEngine& engine, Time now) {
    const std::uint64_t before = test::allocation_count();
    selector = SYSCALL_DISPATCH_FILTER_BLOCK;
    engine.poll(now);
    selector = SYSCALL_DISPATCH_FILTER_ALLOW;
    allocations_ += test::allocation_count() - before;
  }
  [[nodiscard]] std::uint64_t allocations() const { return allocations_; }
  [[nodiscard]] std::set<int> calls() const {
    return {trapped.begin(), trapped.begin() + trapped_count};
  }

 private:
  bool ready_ = false;
  std::uint64_t allocations_ = 0;
};

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
  WatchedTurns watched;
  ASSERT_TRUE(watched.ready()) << "needs Linux 5.11 on x86";
  TempFile disk;
  disk.write(std::vector<std::byte>(100'000, std::byte{7}));
  DiscardEngine engine({.path = disk.path(),
                        .connections = 8,
                        .cache_bytes = 16 << 20,
                        .linear = GetParam().linear,
                        .checksum_offload = GetParam().segmentation,
                        .segmentation = GetParam().segmentation});
  Time now{};
  while (engine.released() < 200) {
    now = now + microseconds(10);
    watched.turn(engine, now);
    engine.serve();
    if (engine.released() == 100) {
      // A writer comes by, so that history is read and frames change under the sender.
      const std::vector<std::byte> other(100'000, std::byte{8});
      ASSERT_TRUE(pagecache::file_write(*engine.file(), other, 0));
    }
    ASSERT_LT(now, Time{} + seconds(60)) << "it does not get on";
  }
  EXPECT_EQ(watched.allocations(), 0U);
  const std::uint64_t segment_bytes = engine.peer().payload_bytes() / engine.peer().data_segments();
  EXPECT_EQ(segment_bytes > 1460, GetParam().segmentation) << segment_bytes;
  // Notifying is a system call, so the trap works.
  EXPECT_EQ(watched.calls(), std::set<int>{SYS_write});
}

/// What a network throws at a host beside TCP: a question from another stranger each time, a ping,
/// noise.
class Chatter {
 public:
  void talk_to(nic::DiscardPort& port) {
    ++round_;
    wire::ArpPacket arp{.source_mac = {2, 0, 0, 0, 1, 1},
                        .destination_mac = wire::broadcast_mac,
                        .operation = wire::ArpOperation::request,
                        .sender_mac = {2, 0, 0, 0, 1, 1},
                        .sender = {10, 0, static_cast<std::uint8_t>(round_ >> 8 & 255),
                                   static_cast<std::uint8_t>(round_ | 2)},
                        .target = SimAddresses{}.engine.v4()};
    inject(port, wire::emit_arp_packet(frame_, arp));
    const wire::IcmpEchoView echo{.source_mac = SimAddresses{}.client_mac,
                                  .destination_mac = SimAddresses{}.engine_mac,
                                  .source = SimAddresses{}.client,
                                  .destination = SimAddresses{}.engine,
                                  .data = std::as_bytes(std::span("are you there"))};
    inject(port, wire::emit_icmp_echo(frame_, echo));
    for (std::byte& byte : frame_)
      byte = static_cast<std::byte>(random_());
    frame_[12] = std::byte{8};
    inject(port, random_() % frame_.size());
    // The gateway answers, and somebody claims our address.
    arp.operation = wire::ArpOperation::reply;
    arp.sender = gateway;
    arp.destination_mac = SimAddresses{}.engine_mac;
    inject(port, wire::emit_arp_packet(frame_, arp));
    arp.sender = SimAddresses{}.engine.v4();
    inject(port, wire::emit_arp_packet(frame_, arp));
  }
  static constexpr Ipv4Address gateway{10, 0, 0, 254};

 private:
  void inject(nic::DiscardPort& port, std::size_t bytes) {
    port.inject(std::span(frame_).first(bytes));
  }
  std::uint32_t round_ = 0;
  std::mt19937 random_{1};
  std::array<std::byte, 128> frame_{};
};

TEST_P(Datapath, so_it_is_with_the_host_that_the_engine_is_where_no_kernel_is) {
  WatchedTurns watched;
  ASSERT_TRUE(watched.ready()) << "needs Linux 5.11 on x86";
  TempFile disk;
  disk.write(std::vector<std::byte>(100'000, std::byte{7}));
  DiscardEngine engine({.path = disk.path(),
                        .connections = 8,
                        .cache_bytes = 16 << 20,
                        .linear = GetParam().linear,
                        .checksum_offload = GetParam().segmentation,
                        .segmentation = GetParam().segmentation,
                        .gateway = Chatter::gateway});
  Chatter chatter;
  Time now{};
  std::uint32_t turns = 0;
  for (; turns < 10'000 || engine.released() < 200; ++turns) {
    // Now and then the peers say nothing for two seconds, so that their connections look for them.
    const bool deaf = turns % 2'000 > 1'800;
    engine.peer().set_deaf(deaf);
    now = now + (deaf ? milliseconds(10) : microseconds(10));
    chatter.talk_to(engine.port());
    watched.turn(engine, now);
    engine.serve();
    ASSERT_LT(now, Time{} + seconds(120)) << "it does not get on";
  }
  EXPECT_EQ(watched.allocations(), 0U);
  EXPECT_EQ(watched.calls(), std::set<int>{SYS_write});
  const engine::LoopCounters& counters = engine.loop().counters();
  EXPECT_EQ(counters.arp_requests_answered.get(), turns);
  EXPECT_EQ(counters.echo_requests_answered.get(), turns);
  EXPECT_EQ(counters.address_conflicts.get(), turns);
  EXPECT_GT(counters.frames_ignored.get(), turns / 2);
  EXPECT_GT(counters.neighbour_requests.get(), 4U) << "peers that said nothing were looked for";
  EXPECT_GT(counters.segments_retransmitted.get(), 0U);
}

}  // namespace
}  // namespace strictsend::testing
