// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "tests/fuzz/scoreboard_fuzz.hpp"
#include "tests/fuzz/smoke.hpp"
#include "tests/fuzz/syn_cookie_fuzz.hpp"
#include "tests/fuzz/tcp_fuzz.hpp"
#include "tests/support/sanitized.hpp"

namespace strictsend::test {
namespace {

constexpr unsigned inputs = testing::sanitized ? 1000 : 10'000;

/// What any of several inputs got to.
struct Reached {
  TcpFuzzTrace trace;

  void add(const TcpFuzzTrace& other) {
    trace.established |= other.established;
    trace.peer_closed |= other.peer_closed;
    trace.closed |= other.closed;
    trace.acked |= other.acked;
    trace.delivered |= other.delivered;
    trace.cut |= other.cut;
    trace.sacked |= other.sacked;
    trace.drained |= other.drained;
    tcp::SenderCounters& sum = trace.sender;
    const tcp::SenderCounters& more = other.sender;
    sum.rto_fires += more.rto_fires;
    sum.fast_retransmits += more.fast_retransmits;
    sum.tail_loss_probes += more.tail_loss_probes;
    sum.undone += more.undone;
    sum.ecn_reductions += more.ecn_reductions;
    sum.window_probes += more.window_probes;
    sum.mss_reductions += more.mss_reductions;
  }
  /// Inputs that get nowhere would prove nothing.
  void expect_everything() const {
    EXPECT_TRUE(trace.established && trace.acked && trace.delivered && trace.cut);
    EXPECT_TRUE(trace.peer_closed && trace.closed && trace.drained && trace.sacked);
    EXPECT_GT(trace.sender.rto_fires, 0U);
    EXPECT_GT(trace.sender.fast_retransmits, 0U);
    EXPECT_GT(trace.sender.tail_loss_probes, 0U);
    EXPECT_GT(trace.sender.undone, 0U);
    EXPECT_GT(trace.sender.ecn_reductions, 0U);
    EXPECT_GT(trace.sender.window_probes, 0U);
    EXPECT_GT(trace.sender.mss_reductions, 0U);
  }
};

TEST(TcpFuzz, generated_inputs_break_no_invariant) {
  Reached reached;
  const bool all =
      run_generated(inputs, 1000, [&](const auto& bytes) { reached.add(fuzz_tcp(bytes)); });
  if (all) reached.expect_everything();
}

TEST(TcpFuzz, the_corpus_breaks_no_invariant) {
  Reached reached;
  const std::size_t files =
      run_corpus(FUZZ_CORPUS "/tcp", [&](const auto& bytes) { reached.add(fuzz_tcp(bytes)); });
  EXPECT_GT(files, 0U);
  reached.expect_everything();
}

void expect_everything(const ScoreboardFuzzTrace& trace) {
  EXPECT_TRUE(trace.sacked && trace.lost && trace.sent_again);
  EXPECT_TRUE(trace.forgotten && trace.unlost && trace.starved);
}

void add(ScoreboardFuzzTrace& sum, const ScoreboardFuzzTrace& more) {
  sum.sacked |= more.sacked;
  sum.lost |= more.lost;
  sum.sent_again |= more.sent_again;
  sum.forgotten |= more.forgotten;
  sum.unlost |= more.unlost;
  sum.starved |= more.starved;
}

TEST(ScoreboardFuzz, generated_inputs_leave_it_like_a_map_of_bytes) {
  ScoreboardFuzzTrace reached;
  const bool all =
      run_generated(inputs, 1000, [&](const auto& bytes) { add(reached, fuzz_scoreboard(bytes)); });
  if (all) expect_everything(reached);
}

TEST(ScoreboardFuzz, the_corpus_leaves_it_like_a_map_of_bytes) {
  ScoreboardFuzzTrace reached;
  const std::size_t files = run_corpus(
      FUZZ_CORPUS "/scoreboard", [&](const auto& bytes) { add(reached, fuzz_scoreboard(bytes)); });
  EXPECT_GT(files, 0U);
  expect_everything(reached);
}

TEST(SynCookieFuzz, generated_inputs_bring_back_what_was_asked_for) {
  int taken = 0;
  constexpr int cookies = 10 * inputs;
  const bool all = run_generated(cookies, 64, [&](const auto& bytes) {
    if (fuzz_syn_cookie(bytes)) ++taken;
  });
  if (!all) return;
  EXPECT_GT(taken, cookies / 4);
  EXPECT_LT(taken, cookies * 9 / 10);
}

}  // namespace
}  // namespace strictsend::test
