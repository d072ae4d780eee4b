// SPDX-License-Identifier: Apache-2.0
// Strictness through DPDK: the oracle's engine on a net_ring port, whose packets a consumer reads
// as late as the simulated device does, and frees then.
#include <gtest/gtest.h>

#include "tests/support/ring_bridge.hpp"
#include "tests/support/strictness_oracle.hpp"

namespace strictsend::testing {
namespace {

OracleReport run(std::uint64_t seed) {
  OracleOptions options;
  options.seed = seed;
  options.adapt = over_ring();
  return run_oracle(options);
}

TEST(DpdkOracle, every_byte_on_the_wire_is_the_snapshots) {
  OracleReport sum;
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    const OracleReport report = run(seed);
    ASSERT_FALSE(report.violation) << *report.violation << "; seed " << seed;
    sum.frames_checked += report.frames_checked;
    sum.retransmissions += report.retransmissions;
    sum.pages_preserved += report.pages_preserved;
    sum.pages_redirected += report.pages_redirected;
    sum.bytes_copied += report.bytes_copied;
  }
  EXPECT_GT(sum.frames_checked, 3'000U);
  EXPECT_GT(sum.retransmissions, 50U);
  EXPECT_GT(sum.pages_preserved, 500U);
  EXPECT_GT(sum.pages_redirected, 50U);
  EXPECT_EQ(sum.bytes_copied, 0U);
}

}  // namespace
}  // namespace strictsend::testing
