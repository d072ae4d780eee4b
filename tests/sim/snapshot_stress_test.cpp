// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/snapshot_stress.hpp"

#include <cstdio>

#include <gtest/gtest.h>

namespace strictsend::pagecache {
namespace {

void expect_right(const StormResult& result, const StormConfig& config) {
  EXPECT_EQ(result.violation, "") << "reproduce with seed " << config.seed;
  EXPECT_GT(result.preserved, 0U);
  EXPECT_GT(result.redirected, 0U);
  EXPECT_GT(result.came_home, 0U);
  ::testing::Test::RecordProperty("snapshots", static_cast<int>(result.snapshots));
  std::printf(
      "seed %llu: %llu snapshots, %llu writes, %llu faults, %llu preserved, %llu redirected, "
      "%llu came home, %.2f s\n",
      static_cast<unsigned long long>(config.seed),
      static_cast<unsigned long long>(result.snapshots),
      static_cast<unsigned long long>(result.writes),
      static_cast<unsigned long long>(result.faults),
      static_cast<unsigned long long>(result.preserved),
      static_cast<unsigned long long>(result.redirected),
      static_cast<unsigned long long>(result.came_home),
      static_cast<double>(result.took.ns) * 1e-9);
}

class SnapshotStress : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(SnapshotStress, every_byte_read_is_the_snapshots) {
  StormConfig config;
  config.seed = GetParam();
  config.snapshots = 600;
  const StormResult result = run_storm(config);
  if (result.mapping_unavailable) GTEST_SKIP() << "no protected mappings on this system";
  expect_right(result, config);
}

TEST_P(SnapshotStress, the_file_api_alone_obeys_the_same_rules) {
  StormConfig config;
  config.seed = GetParam();
  config.snapshots = 200;
  config.mapped = false;
  expect_right(run_storm(config), config);
}

INSTANTIATE_TEST_SUITE_P(Seeds, SnapshotStress, ::testing::Values(1, 2, 3));

}  // namespace
}  // namespace strictsend::pagecache
