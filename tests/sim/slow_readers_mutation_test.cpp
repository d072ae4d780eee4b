// SPDX-License-Identifier: Apache-2.0
// That the story of the slow readers can fail: a victim that is not told sends what its pages have
// become.
#include <gtest/gtest.h>

#include "base/mutation.hpp"
#include "tests/sim/slow_readers.hpp"

namespace strictsend::testing {
namespace {

TEST(SlowReadersMutation, a_victim_that_is_not_told_is_found_on_every_seed) {
  MutationControl::active = Mutation::collect_without_revoking;
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const SlowReadersReport report = run_slow_readers({.seed = seed});
    ASSERT_TRUE(report.violation) << "seed " << seed;
    EXPECT_NE(report.violation->find("another instant"), std::string::npos) << *report.violation;
  }
  MutationControl::active = Mutation::none;
}

}  // namespace
}  // namespace strictsend::testing
