// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/pin_model.hpp"

#include <cstdio>

#include <gtest/gtest.h>

#include "base/mutation.hpp"

// The pair of pin and preserve alone: every interleaving of a small model. pin_threads_test.cpp has
// the real code.

namespace strictsend::pagecache {
namespace {

TEST(PinModel, holds_in_every_interleaving) {
  const ModelResult result = explore_pin_model(ModelError::none);
  EXPECT_EQ(result.violation, "");
  EXPECT_GT(result.finished_states, 0U);
  EXPECT_GT(result.states, 10'000U) << "the model hardly interleaves";
  std::printf("%llu states\n", static_cast<unsigned long long>(result.states));
}

TEST(PinModel, finds_a_pin_after_the_check) {
  EXPECT_NE(explore_pin_model(ModelError::pin_after_check).violation, "");
}

TEST(PinModel, finds_a_missing_revalidation) {
  EXPECT_NE(explore_pin_model(ModelError::no_revalidation).violation, "");
}

TEST(PinModel, finds_a_frame_reused_while_pinned) {
  EXPECT_NE(explore_pin_model(ModelError::frame_reused_while_pinned).violation, "");
}

TEST(PinModel, finds_a_missing_mark) {
  EXPECT_NE(explore_pin_model(ModelError::mark_omitted).violation, "");
}

TEST(PinModel, finds_a_lift_under_a_descriptor) {
  MutationControl::active = Mutation::lift_under_descriptor;
  const ModelResult result = explore_pin_model(ModelError::none);
  MutationControl::active = Mutation::none;
  EXPECT_NE(result.violation, "");
}

}  // namespace
}  // namespace strictsend::pagecache
