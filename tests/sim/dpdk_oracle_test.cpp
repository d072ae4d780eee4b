// SPDX-License-Identifier: Apache-2.0
// Strictness through DPDK: the oracle's engine on a net_ring port, whose packets a consumer reads
// as late as the simulated device does, and frees then.
#include <gtest/gtest.h>

#include "tests/support/ring_bridge.hpp"
#include "tests/support/sanitized.hpp"
#include "tests/support/strictness_oracle.hpp"

namespace strictsend::testing {
namespace {

constexpr std::uint64_t seeds = sanitized ? 2 : 6;

struct Variant {
  const char* name;
  bool checksum_offload;
  bool segmentation;
  int datagram_flows = 0;
};

class DpdkOracle : public ::testing::TestWithParam<Variant> {};

INSTANTIATE_TEST_SUITE_P(Offloads, DpdkOracle,
                         ::testing::Values(Variant{"none", false, false},
                                           Variant{"checksums", true, false},
                                           Variant{"segmentation", true, true},
                                           Variant{"datagrams", true, false, 2}),
                         [](const auto& variant) { return variant.param.name; });

TEST_P(DpdkOracle, every_byte_on_the_wire_is_the_snapshots) {
  OracleReport sum;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    OracleOptions options;
    options.seed = seed;
    options.checksum_offload = GetParam().checksum_offload;
    options.segmentation = GetParam().segmentation;
    options.datagram_flows = GetParam().datagram_flows;
    options.adapt = over_ring();
    const OracleReport report = run_oracle(options);
    ASSERT_FALSE(report.violation) << *report.violation << "; seed " << seed;
    sum.add(report);
  }
  if (GetParam().datagram_flows > 0) {
    EXPECT_GT(sum.datagrams_checked, seeds * 400);
  } else {
    EXPECT_GT(sum.frames_checked, seeds * 500);
    EXPECT_GT(sum.retransmissions, seeds * 9);
  }
  EXPECT_GT(sum.pages_preserved, seeds * 50);
  EXPECT_GT(sum.pages_redirected, seeds * 9);
  EXPECT_EQ(sum.bytes_copied, 0U);
  EXPECT_EQ(sum.packets_cut > 0, GetParam().segmentation);
}

}  // namespace
}  // namespace strictsend::testing
