// SPDX-License-Identifier: Apache-2.0
// Strictness of the whole engine: the right one is never torn. That the oracle can tell is shown by
// oracle_mutation_test.cpp.
#include <algorithm>

#include <gtest/gtest.h>

#include "tests/support/sanitized.hpp"
#include "tests/support/strictness_oracle.hpp"

namespace strictsend::testing {
namespace {

constexpr std::uint64_t all_seeds = sanitized ? 3 : 12;

struct Variant {
  const char* name;
  bool linear;
  bool checksum_offload;
  bool segmentation;
  bool ipv6_vlan = false;
  std::uint64_t seeds = all_seeds;
};

/// Adds up the runs of all seeds, and ends with the first that is torn.
void run_seeds(const Variant& variant, int datagram_flows, OracleReport& sum) {
  for (std::uint64_t seed = 1; seed <= variant.seeds; ++seed) {
    OracleOptions options;
    options.seed = seed;
    options.linear = variant.linear;
    options.checksum_offload = variant.checksum_offload;
    options.segmentation = variant.segmentation;
    options.ipv6_vlan = variant.ipv6_vlan;
    options.datagram_flows = datagram_flows;
    const OracleReport report = run_oracle(options);
    ASSERT_FALSE(report.violation)
        << *report.violation << "; reproduce: oracle_test --gtest_filter=*"
        << (datagram_flows > 0 ? "Datagrams*" : "") << variant.name << ", seed " << seed;
    sum.add(report);
  }
}

class OracleRuns : public ::testing::TestWithParam<Variant> {};

INSTANTIATE_TEST_SUITE_P(Forms, OracleRuns,
                         ::testing::Values(Variant{"fragments", false, false, false},
                                           Variant{"fragments_offload", false, true, false},
                                           Variant{"fragments_cut", false, true, true},
                                           // The headers alone differ: fewer seeds will do.
                                           Variant{"ipv6_vlan_cut", false, true, true, true,
                                                   std::max<std::uint64_t>(all_seeds / 2, 3)},
                                           Variant{"linear", true, false, false}),
                         [](const auto& variant) { return variant.param.name; });

TEST_P(OracleRuns, every_byte_on_the_wire_is_the_snapshots) {
  OracleReport sum;
  ASSERT_NO_FATAL_FAILURE(run_seeds(GetParam(), 0, sum));
  // A run in which nothing was at stake would prove nothing.
  const std::uint64_t runs = GetParam().seeds;
  EXPECT_GT(sum.frames_checked, runs * 420);
  EXPECT_GT(sum.retransmissions, runs * 9);
  EXPECT_GT(sum.pages_preserved, runs * 84);
  EXPECT_EQ(sum.packets_cut > runs * 170, GetParam().segmentation);
  if (GetParam().linear) {
    EXPECT_GT(sum.bytes_copied, 0U);
  } else {
    EXPECT_EQ(sum.bytes_copied, 0U);
    EXPECT_GT(sum.pages_redirected, runs * 9);
  }
}

class OracleDatagrams : public ::testing::TestWithParam<Variant> {};

INSTANTIATE_TEST_SUITE_P(Forms, OracleDatagrams,
                         ::testing::Values(Variant{"fragments", false, false, false},
                                           Variant{"fragments_offload", false, true, false},
                                           Variant{"ipv6_vlan", false, false, false, true},
                                           Variant{"linear", true, false, false}),
                         [](const auto& variant) { return variant.param.name; });

TEST_P(OracleDatagrams, are_the_snapshots_and_released_only_once_the_device_has_read_them) {
  OracleReport sum;
  ASSERT_NO_FATAL_FAILURE(run_seeds(GetParam(), 2, sum));  // beside three connections
  const std::uint64_t runs = GetParam().seeds;
  EXPECT_GT(sum.datagrams_checked, runs * 400);
  EXPECT_GT(sum.frames_checked, runs * 100);
  EXPECT_GT(sum.pages_preserved, runs * 40);
  if (GetParam().linear) {
    EXPECT_GT(sum.bytes_copied, 0U);
  } else {
    EXPECT_EQ(sum.bytes_copied, 0U);
    EXPECT_GT(sum.pages_redirected, runs * 9);
  }
}

}  // namespace
}  // namespace strictsend::testing
