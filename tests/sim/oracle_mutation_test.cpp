// SPDX-License-Identifier: Apache-2.0
// The oracle must be able to fail: with one guard step switched off it finds the torn byte, or the
// memory that changed under a descriptor, on every one of ten seeds.
#include <chrono>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/oracle_mutants.hpp"
#include "tests/support/strictness_oracle.hpp"

namespace strictsend::testing {
namespace {

class OracleMutations : public MutantTest {};

INSTANTIATE_TEST_SUITE_P(Each, OracleMutations, oracle_mutants(),
                         [](const auto& mutant) { return std::string(mutant.param.name); });

TEST_P(OracleMutations, is_found_on_every_seed) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const auto begin = std::chrono::steady_clock::now();
    bool found = false;
    std::uint64_t runs = 0;
    // Each attempt is a run of its own, derived from the seed; the search ends with the first hit.
    while (!found && std::chrono::steady_clock::now() - begin < std::chrono::seconds(60)) {
      MutationControl::active = GetParam().mutation;
      OracleOptions options;
      options.seed = seed + 1'000 * runs++;
      options.checksum_offload = options.segmentation = seed % 2 == 0;
      options.datagram_flows = datagram_flows_for(GetParam().mutation);
      found = run_oracle(options).violation.has_value();
    }
    EXPECT_TRUE(found) << GetParam().name << " on seed " << seed << " in " << runs << " runs";
  }
}

}  // namespace
}  // namespace strictsend::testing
