// SPDX-License-Identifier: Apache-2.0
// Where datagrams go, as far as it is decided in times of its own.
#include <gtest/gtest.h>

#include "engine/host/answer_wait.hpp"

namespace strictsend::engine {
namespace {

using State = nic::NextHop::State;
constexpr Time start{0};

// How "nobody answers" becomes an answer.

TEST(AnswerWait, lasts_until_the_neighbour_is_found) {
  AnswerWait wait;
  EXPECT_EQ(wait.after(State::asking, start), State::asking);
  EXPECT_EQ(wait.after(State::asking, start + milliseconds(4999)), State::asking);
  EXPECT_EQ(wait.after(State::found, start + seconds(9)), State::found);
  EXPECT_FALSE(wait.waits());
}

TEST(AnswerWait, ends_after_its_limit_although_others_go_on_asking) {
  AnswerWait wait;
  EXPECT_EQ(wait.after(State::asking, start), State::asking);
  EXPECT_EQ(wait.after(State::asking, start + AnswerWait::limit), State::unreachable);
  EXPECT_EQ(wait.after(State::asking, start + AnswerWait::limit), State::asking)
      << "whoever comes next begins anew";
}

TEST(AnswerWait, takes_what_was_found_out_before_it_for_no_answer) {
  AnswerWait wait;
  EXPECT_EQ(wait.after(State::unreachable, start), State::asking);
  EXPECT_EQ(wait.after(State::unreachable, start + milliseconds(1)), State::unreachable);
}

TEST(AnswerWait, begins_anew_once_it_was_forgotten) {
  AnswerWait wait;
  EXPECT_EQ(wait.after(State::asking, start), State::asking);
  wait.forget();
  EXPECT_EQ(wait.after(State::unreachable, start + seconds(60)), State::asking);
  EXPECT_EQ(wait.after(State::asking, start + seconds(60) + AnswerWait::limit), State::unreachable);
}

}  // namespace
}  // namespace strictsend::engine
