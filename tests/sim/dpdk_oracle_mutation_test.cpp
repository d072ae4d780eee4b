// SPDX-License-Identifier: Apache-2.0
// The oracle must be able to fail through DPDK too (dpdk_oracle_test.cpp). The mutants are the
// engine's own; one more is the driver's.
#include <string>

#include <gtest/gtest.h>

#include "tests/support/oracle_mutants.hpp"
#include "tests/support/ring_bridge.hpp"
#include "tests/support/strictness_oracle.hpp"

namespace strictsend::testing {
namespace {

OracleReport run(std::uint64_t seed, RingBridge::Options bridge = {}) {
  OracleOptions options;
  options.seed = seed;
  options.checksum_offload = options.segmentation = seed % 2 == 0;
  options.datagram_flows = datagram_flows_for(MutationControl::active);
  options.adapt = over_ring(bridge);
  return run_oracle(options);
}

/// Some run derived from the seed finds something wrong.
bool is_found(std::uint64_t seed, RingBridge::Options bridge = {}) {
  for (std::uint64_t attempt = 0; attempt < 50; ++attempt)
    if (run(seed + 1'000 * attempt, bridge).violation) return true;
  return false;
}

TEST(DpdkOracle, finds_a_driver_that_frees_before_it_reads) {
  for (std::uint64_t seed = 1; seed <= 4; ++seed)
    EXPECT_TRUE(is_found(seed, {.frees_early = true})) << "seed " << seed;
}

class DpdkOracleMutations : public MutantTest {};

INSTANTIATE_TEST_SUITE_P(Each, DpdkOracleMutations, oracle_mutants(),
                         [](const auto& mutant) { return std::string(mutant.param.name); });

TEST_P(DpdkOracleMutations, is_found) {
  MutationControl::active = GetParam().mutation;
  for (std::uint64_t seed = 1; seed <= 3; ++seed)
    EXPECT_TRUE(is_found(seed)) << GetParam().name << " on seed " << seed;
}

}  // namespace
}  // namespace strictsend::testing
