// SPDX-License-Identifier: Apache-2.0
// Strictness of the whole engine: the right one is never torn. That the oracle can tell is shown by
// oracle_mutation_test.cpp.
#include <gtest/gtest.h>

#include "tests/support/strictness_oracle.hpp"

namespace strictsend::testing {
namespace {

struct Variant {
  const char* name;
  bool linear;
  bool checksum_offload;
  bool segmentation;
};

class OracleRuns : public ::testing::TestWithParam<Variant> {};

INSTANTIATE_TEST_SUITE_P(Forms, OracleRuns,
                         ::testing::Values(Variant{"fragments", false, false, false},
                                           Variant{"fragments_offload", false, true, false},
                                           Variant{"fragments_cut", false, true, true},
                                           Variant{"linear", true, false, false}),
                         [](const auto& variant) { return variant.param.name; });

TEST_P(OracleRuns, every_byte_on_the_wire_is_the_snapshots) {
  OracleReport sum;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    OracleOptions options;
    options.seed = seed;
    options.linear = GetParam().linear;
    options.checksum_offload = GetParam().checksum_offload;
    options.segmentation = GetParam().segmentation;
    const OracleReport report = run_oracle(options);
    ASSERT_FALSE(report.violation)
        << *report.violation << "; reproduce: oracle_test --gtest_filter=*" << GetParam().name
        << ", seed " << seed;
    sum.add(report);
  }
  // A run in which nothing was at stake would prove nothing.
  EXPECT_GT(sum.frames_checked, 5'000U);
  EXPECT_GT(sum.retransmissions, 100U);
  EXPECT_GT(sum.pages_preserved, 1'000U);
  EXPECT_EQ(sum.packets_cut > 2'000, GetParam().segmentation);
  if (GetParam().linear) {
    EXPECT_GT(sum.bytes_copied, 0U);
  } else {
    EXPECT_EQ(sum.bytes_copied, 0U);
    EXPECT_GT(sum.pages_redirected, 100U);
  }
}

}  // namespace
}  // namespace strictsend::testing
