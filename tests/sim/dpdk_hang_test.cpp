// SPDX-License-Identifier: Apache-2.0
// What DPDK's port does about a device that gets on with nothing.
#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <rte_mbuf.h>
#include <string>

#include <gtest/gtest.h>

#include "tests/sim/dpdk_port_fixture.hpp"

namespace strictsend::nic::dpdk {
namespace {

using test::DpdkPortTest;

/// Its consumer stops reading, and the watchdog is an impatient one.
class DpdkPortHangs : public DpdkPortTest {
 protected:
  DpdkPortHangs() : DpdkPortTest(1, 8, 0, milliseconds(1500)) {}

  /// More than the ring holds, so that some packets stay with the port.
  void fill_up() {
    while (sent < 1'000 && send(sent)) {
      ++sent;
      ASSERT_EQ(ring.queue().kick(), 0);
    }
    ASSERT_LT(sent, 1'000U);
  }
  /// The consumer reads again, until all that was sent is completed: each packet once.
  bool read_all() {
    Cookies completed;
    const bool done = turn_until([&] {
      while (rte_mbuf* chain = ring.take())
        rte_pktmbuf_free(chain);
      const Cookies more = reaped();
      completed.insert(completed.end(), more.begin(), more.end());
      return completed.size() >= sent;
    });
    std::sort(completed.begin(), completed.end());
    return done && completed.size() == sent &&
           std::unique(completed.begin(), completed.end()) == completed.end();
  }

  std::uint32_t sent = 0;
};

TEST_F(DpdkPortHangs, a_device_that_takes_nothing_any_more_is_reset_and_goes_on) {
  // Every time: where it works in between, a hang is not the fourth in a row.
  for (std::uint64_t hangs = 1; hangs <= 5; ++hangs) {
    sent = 0;
    fill_up();
    ASSERT_TRUE(turn_until([&] { return ring.port().resets() == hangs; }));
    EXPECT_EQ(ring.port().hangs(), hangs);
    EXPECT_EQ(reaped(), Cookies{}) << "the consumer may read them still";
    EXPECT_TRUE(read_all());
  }
}

TEST_F(DpdkPortHangs, a_device_that_resets_do_not_help_is_lost) {
  fill_up();
  ASSERT_TRUE(turn_until([&] { return ring.queue().kick() == ENODEV; }));
  EXPECT_EQ(ring.port().resets(), 3U);
  EXPECT_EQ(ring.port().hangs(), 3U);
  const std::string failure = ring.port().failure();
  EXPECT_NE(failure.find("it hangs: queue 0 takes no packet"), std::string::npos) << failure;
  EXPECT_NE(failure.find("3 resets did not help"), std::string::npos) << failure;
  ring.queue().stop();
  EXPECT_EQ(reaped().size(), sent - 7) << "the staged ones";
  while (rte_mbuf* chain = ring.take())
    rte_pktmbuf_free(chain);
  EXPECT_EQ(reaped().size(), 7U);
}

}  // namespace
}  // namespace strictsend::nic::dpdk
