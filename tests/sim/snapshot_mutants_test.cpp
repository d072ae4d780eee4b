// SPDX-License-Identifier: Apache-2.0
#include <sys/wait.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/mutation.hpp"
#include "tests/sim/snapshot_stress.hpp"

// The oracle is only worth something if it finds errors: each deliberate one must be found.

namespace strictsend::pagecache {
namespace {

struct Mutant {
  const char* name;
  Mutation mutation;
  /// A race that lasts nanoseconds wants few pages and writers that never sleep.
  bool in_nanoseconds = false;
};

enum class Verdict { found, not_found, hung, no_mappings };

/// In a process of its own: a wrong engine may do anything.
Verdict run_mutant(const Mutant& mutant, std::uint64_t seed) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(90);
    MutationControl::active = mutant.mutation;
    StormConfig config;
    config.seed = seed;
    if (mutant.in_nanoseconds) {
      config.pages = 4;
      config.mapped = false;
      config.yield_one_in = 0;
    }
    config.snapshots = ~std::uint64_t{0};
    config.limit = seconds(60);
    const StormResult result = run_storm(config);
    if (result.mapping_unavailable) ::_exit(3);
    if (result.violation.empty()) ::_exit(0);
    std::printf("  seed %llu, %.0f ms, %llu snapshots: %s\n", static_cast<unsigned long long>(seed),
                static_cast<double>(result.took.ns) * 1e-6,
                static_cast<unsigned long long>(result.snapshots), result.violation.c_str());
    std::fflush(nullptr);
    ::_exit(2);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return Verdict::not_found;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 3) return Verdict::no_mappings;
  // An assertion of the engine itself that fails has found the error too; a time-out has not: a
  // mutant that hangs is badly made, for it hides whether the oracle would have seen the error.
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) return Verdict::hung;
  return Verdict::found;
}

class SnapshotMutants : public ::testing::TestWithParam<Mutant> {};

TEST_P(SnapshotMutants, is_found_on_every_seed) {
  if (GetParam().in_nanoseconds && std::thread::hardware_concurrency() < 2) {
    GTEST_SKIP() << "a store that becomes visible late needs two processors to be seen";
  }
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const Verdict verdict = run_mutant(GetParam(), seed);
    if (verdict == Verdict::no_mappings) GTEST_SKIP() << "no protected mappings on this system";
    ASSERT_NE(verdict, Verdict::hung) << GetParam().name << " hangs with seed " << seed;
    ASSERT_EQ(verdict, Verdict::found) << GetParam().name << " passed 60 s with seed " << seed;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, SnapshotMutants,
    ::testing::Values(Mutant{"no_protect", Mutation::no_protect},
                      Mutant{"register_after_protect", Mutation::register_after_protect},
                      Mutant{"answer_during_protect", Mutation::answer_during_protect},
                      Mutant{"lift_without_lock", Mutation::lift_without_lock},
                      Mutant{"pin_after_check", Mutation::pin_after_check},
                      Mutant{"no_revalidation", Mutation::no_revalidation},
                      Mutant{"lift_under_descriptor", Mutation::lift_under_descriptor},
                      Mutant{"collect_too_early", Mutation::collect_too_early},
                      Mutant{"stale_sticky_bit", Mutation::stale_sticky_bit},
                      Mutant{"redirect_exposes_early", Mutation::redirect_exposes_early},
                      Mutant{"frame_reused_while_pinned", Mutation::frame_reused_while_pinned},
                      Mutant{"home_exposes_snapshot_frame", Mutation::home_exposes_snapshot_frame},
                      Mutant{"relaxed_mark", Mutation::relaxed_mark, true}),
    [](const auto& mutant) { return std::string(mutant.param.name); });

}  // namespace
}  // namespace strictsend::pagecache
