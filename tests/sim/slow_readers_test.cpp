// SPDX-License-Identifier: Apache-2.0
// A herd of slow readers and a writer who does not wait: what is kept for them is bounded, they are
// given up before he has to wait, and those that take what they get notice nothing.
#include "tests/sim/slow_readers.hpp"

#include <string>

#include <gtest/gtest.h>

#include "tests/support/sanitized.hpp"

namespace strictsend::testing {
namespace {

constexpr std::uint64_t seeds = sanitized ? 2 : 5;

class SlowReaders : public ::testing::TestWithParam<bool> {
 protected:
  /// Of the first seed; each has to end well.
  SlowReadersReport run(SlowReadersOptions options) {
    SlowReadersReport first;
    options.mapped = GetParam();
    for (options.seed = 1; options.seed <= seeds; ++options.seed) {
      const SlowReadersReport report = run_slow_readers(options);
      if (options.seed == 1) first = report;
      if (report.skipped) break;
      EXPECT_FALSE(report.violation) << *report.violation << ", seed " << options.seed;
      EXPECT_LE(report.frames_kept_most, options.preserved_frames_max);
      EXPECT_EQ(report.given_up_for_waiting_writers, 0U) << "no writer waited for long";
      EXPECT_EQ(report.released_for_writers,
                report.given_up_for_connection_limit + report.given_up_for_total_limit);
    }
    return first;
  }
};

INSTANTIATE_TEST_SUITE_P(Writer, SlowReaders, ::testing::Bool(), [](const auto& mapped) {
  return std::string(mapped.param ? "stores_to_the_mapping" : "calls_write");
});

TEST_P(SlowReaders, are_given_up_one_by_one_where_each_may_hold_little) {
  const SlowReadersReport report = run({.preserved_frames_per_connection_max = 200});
  if (report.skipped) GTEST_SKIP() << "no protected mappings here";
  EXPECT_GT(report.given_up_for_connection_limit, 50U);
}

TEST_P(SlowReaders, are_given_up_before_the_fast_where_all_together_hold_too_much) {
  const SlowReadersReport report = run({});
  if (report.skipped) GTEST_SKIP() << "no protected mappings here";
  EXPECT_GT(report.given_up_for_total_limit, 50U);
}

}  // namespace
}  // namespace strictsend::testing
