// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include "base/mutation.hpp"

namespace strictsend::testing {

/// A guard step that is switched off, for the tests of the oracle. Test builds with mutations only.
struct Mutant {
  Mutation mutation;
  const char* name;
};

/// Those that an engine in virtual time can show. The others are races of threads, which
/// snapshot_stress.cpp finds.
inline auto oracle_mutants() {
  return ::testing::Values(
      Mutant{Mutation::no_protect, "no_protect"},
      Mutant{Mutation::lift_under_descriptor, "lift_under_descriptor"},
      Mutant{Mutation::collect_too_early, "collect_too_early"},
      Mutant{Mutation::stale_sticky_bit, "stale_sticky_bit"},
      Mutant{Mutation::frame_reused_while_pinned, "frame_reused_while_pinned"},
      Mutant{Mutation::release_at_tx_completion, "release_at_tx_completion"},
      Mutant{Mutation::release_under_descriptor, "release_under_descriptor"},
      Mutant{Mutation::unpin_at_transmit, "unpin_at_transmit"},
      Mutant{Mutation::release_datagrams_at_transmit, "release_datagrams_at_transmit"});
}

/// What an oracle needs to have besides connections to show it.
inline int datagram_flows_for(Mutation mutation) {
  return mutation == Mutation::release_datagrams_at_transmit ? 2 : 0;
}

class MutantTest : public ::testing::TestWithParam<Mutant> {
 protected:
  void TearDown() override { MutationControl::active = Mutation::none; }
};

}  // namespace strictsend::testing
