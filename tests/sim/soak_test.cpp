// SPDX-License-Identifier: Apache-2.0
// Half an hour of mixed load in virtual time for each seed: nothing grows, and in the end all is
// given back. ./dev soak runs it with more seeds and more peers.
#include "tests/sim/soak.hpp"

#include <charconv>
#include <cstdlib>
#include <string_view>

#include <gtest/gtest.h>

#include "tests/support/sanitized.hpp"

namespace strictsend::testing {
namespace {

/// Allocators keep some of what they are given back.
constexpr std::uint64_t growth_bytes_max = std::uint64_t{4} << 20;

/// STRICTSEND_SOAK_SEEDS=N: seeds 1 to N, with the load of ./dev soak; 0: not given.
std::uint64_t seeds_asked_for() {
  const char* const given = std::getenv("STRICTSEND_SOAK_SEEDS");
  if (given == nullptr) return 0;
  const std::string_view text = given;
  std::uint64_t seeds = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), seeds);
  EXPECT_TRUE(parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() && seeds > 0)
      << "STRICTSEND_SOAK_SEEDS must be a number of seeds, such as 3";
  return seeds;
}

void print(const SoakOptions& options, const SoakReport& report) {
  const auto count = [](std::uint64_t number) { return static_cast<unsigned long long>(number); };
  std::printf(
      "seed %llu: %llu peers, at most %llu at once; %llu sends, %llu of them complete; %llu MiB "
      "compared, %llu segments sent again;\n"
      "  %llu writes, %llu pages preserved, %llu evicted, %llu sends given up for writers; at most "
      "%llu snapshots and %llu frames of history;\n"
      "  memory of the process in MiB: first third at most %.1f, last third at most %.1f; of the "
      "loop: %.1f in every minute\n",
      count(options.seed), count(report.peers), count(report.peers_at_once_max),
      count(report.splices), count(report.splices_complete), count(report.bytes_checked >> 20),
      count(report.segments_retransmitted), count(report.writes), count(report.pages_preserved),
      count(report.pages_evicted), count(report.sends_failed_for_writers),
      count(report.snapshots_max), count(report.history_max),
      static_cast<double>(report.process_bytes_warm) / (1 << 20),
      static_cast<double>(report.process_bytes_late) / (1 << 20),
      static_cast<double>(report.engine_bytes) / (1 << 20));
  std::fflush(stdout);
}

TEST(Soak, half_an_hour_of_mixed_load_leaves_memory_as_it_was_and_everything_balanced) {
  const std::uint64_t asked = seeds_asked_for();
  for (std::uint64_t seed = 1; seed <= (asked == 0 ? 1 : asked); ++seed) {
    SoakOptions options{.seed = seed};
    if (asked == 0) options.peer_every = milliseconds(sanitized ? 1'000 : 3'000);
    if (asked == 0 && sanitized) options.length = seconds(180);
    const SoakReport report = run_soak(options);
    print(options, report);
    ASSERT_FALSE(report.violation) << *report.violation << "; seed " << seed;
    // A run in which nothing was at stake would prove nothing.
    EXPECT_GT(report.peers, 100U);
    EXPECT_GT(report.splices_complete, report.peers / 2);
    EXPECT_LT(report.splices_complete, report.splices);
    EXPECT_GT(report.segments_retransmitted, report.peers / 2);
    EXPECT_GT(report.pages_preserved, report.peers / 5);
    EXPECT_GT(report.pages_evicted, 1000U);
    EXPECT_GT(report.bytes_checked, report.peers * 50'000);
    // Sanitizers keep what was freed for a while.
    if (!sanitized) {
      EXPECT_LE(report.process_bytes_late, report.process_bytes_warm + growth_bytes_max);
    }
  }
}

}  // namespace
}  // namespace strictsend::testing
