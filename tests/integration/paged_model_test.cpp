// SPDX-License-Identifier: Apache-2.0
// Files larger than the cache, and mapped ones whose pages leave it, against models; and deliberate
// errors, which those find.
#include "tests/integration/paged_model.hpp"

#include <sys/wait.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/mutation.hpp"
#include "tests/integration/mapped_model.hpp"
#include "tests/support/sanitized.hpp"

namespace strictsend::test {
namespace {

constexpr std::uint64_t seeds = testing::sanitized ? 2 : 5;

TEST(PagedModel, is_what_a_file_larger_than_the_cache_does) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const PagedModelResult result = run_paged_model({.seed = seed});
    ASSERT_EQ(result.violation, "") << "seed " << seed;
    EXPECT_GT(result.pages_evicted, 1000U);
    EXPECT_GT(result.snapshots, 100U);
    EXPECT_EQ(result.snapshots_given_up, 0U);
  }
}

TEST(PagedModel, sends_of_what_another_process_has_changed_are_given_up_and_never_mixed) {
  std::uint64_t given_up = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const PagedModelResult result = run_paged_model({.seed = seed, .foreign_change = true});
    ASSERT_EQ(result.violation, "") << "seed " << seed;
    given_up += result.snapshots_given_up;
  }
  EXPECT_GT(given_up, 0U);
}

TEST(MappedModel, is_what_a_mapping_does_whose_pages_leave_the_memory) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    const MappedModelResult result = run_mapped_model({.seed = seed});
    ASSERT_EQ(result.violation, "") << "seed " << seed;
    EXPECT_GT(result.pages_evicted, 1000U);
    EXPECT_GT(result.pages_loaded, 1000U);
    EXPECT_GT(result.snapshots, 50U);
    EXPECT_GT(result.numbers_written, 1000U);
  }
}

enum class Kind : std::uint8_t { paged, changed_by_others, mapped };

struct Mutant {
  const char* name;
  Mutation mutation;
  Kind kind = Kind::paged;
};

std::string violation_of(const Mutant& mutant, std::uint64_t seed) {
  if (mutant.kind == Kind::mapped) return run_mapped_model({.seed = seed}).violation;
  const bool foreign_change = mutant.kind == Kind::changed_by_others;
  return run_paged_model({.seed = seed, .foreign_change = foreign_change}).violation;
}

class PagedMutants : public ::testing::TestWithParam<Mutant> {};
INSTANTIATE_TEST_SUITE_P(
    All, PagedMutants,
    ::testing::Values(Mutant{"evict_written", Mutation::evict_written},
                      Mutant{"evict_under_descriptor", Mutation::evict_under_descriptor},
                      Mutant{"load_whatever_is_there", Mutation::load_whatever_is_there,
                             Kind::changed_by_others},
                      Mutant{"evict_written_from_mapping", Mutation::evict_written, Kind::mapped},
                      Mutant{"evict_in_plain_sight", Mutation::evict_in_plain_sight, Kind::mapped},
                      Mutant{"show_what_is_read", Mutation::show_what_is_read, Kind::mapped}),
    [](const auto& mutant) { return std::string(mutant.param.name); });

/// In a process of its own: the engine's own assertions count as having found it.
bool is_found(const Mutant& mutant, std::uint64_t seed) {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);
    MutationControl::active = mutant.mutation;
    const std::string violation = violation_of(mutant, seed);
    std::printf("  seed %llu: %s\n", static_cast<unsigned long long>(seed), violation.c_str());
    std::fflush(nullptr);
    ::_exit(violation.empty() ? 0 : 2);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) return WTERMSIG(status) != SIGALRM;
  return WEXITSTATUS(status) == 2;
}

TEST_P(PagedMutants, is_found_on_every_seed) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed)
    EXPECT_TRUE(is_found(GetParam(), seed)) << "seed " << seed;
}

}  // namespace
}  // namespace strictsend::test
