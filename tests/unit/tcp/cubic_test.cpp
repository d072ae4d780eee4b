// SPDX-License-Identifier: Apache-2.0
// Cubic, against RFC 9438 computed here a second time, in real numbers.
#include "engine/transport/tcp/cubic.hpp"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/tcp/path.hpp"

namespace strictsend::tcp {
namespace {

constexpr std::uint32_t mss = 1000;

Time at(Duration since) {
  return Time{} + seconds(1) + since;
}

/// Loses from a window, which slow start had brought so far, and recovers.
Cubic after_loss(std::uint32_t window_bytes, Time now = at({})) {
  Cubic cubic(mss);
  while (cubic.cwnd_bytes() < window_bytes)
    cubic.on_ack({.acked_bytes = std::min(8 * mss, window_bytes - cubic.cwnd_bytes()),
                  .flight_peak_bytes = window_bytes});
  cubic.on_congestion(CongestionCause::loss, window_bytes, now);
  cubic.on_recovered(0, now);
  return cubic;
}

/// A round trip in which all of the window is acknowledged, segment by segment.
void round(Cubic& cubic, Time end, Duration rtt) {
  const std::uint32_t cwnd = cubic.cwnd_bytes();
  const std::int64_t segments = std::max(cwnd / mss, 1U);
  for (std::int64_t i = 1; i <= segments; ++i)
    cubic.on_ack({.now = end - rtt + rtt * i / segments,
                  .acked_bytes = mss,
                  .flight_peak_bytes = cubic.cwnd_bytes(),
                  .srtt = rtt});
}

/// RFC 9438 §4.2 to §4.5 word for word, in segments and seconds, a round trip at a time.
class Reference {
 public:
  Reference(double cwnd, double w_max, double rtt)
      : cwnd_(cwnd), w_max_(w_max), w_est_(cwnd), cwnd_prior_(w_max), rtt_(rtt) {
    k_ = std::cbrt((w_max - cwnd) / 0.4);
  }
  double w_cubic(double t) const { return 0.4 * std::pow(t - k_, 3) + w_max_; }
  double round() {
    const int acks = static_cast<int>(cwnd_);
    for (int i = 1; i <= acks; ++i) {
      const double t = t_ + rtt_ * i / acks;
      const double alpha = w_est_ >= cwnd_prior_ ? 1 : 3 * 0.3 / 1.7;
      w_est_ += alpha / cwnd_;
      if (w_cubic(t) < w_est_) {
        cwnd_ = std::max(cwnd_, w_est_);
      } else {
        const double target = std::clamp(w_cubic(t + rtt_), cwnd_, 1.5 * cwnd_);
        cwnd_ += (target - cwnd_) / cwnd_;
      }
    }
    t_ += rtt_;
    return cwnd_;
  }
  double k() const { return k_; }

 private:
  double cwnd_, w_max_, w_est_, cwnd_prior_, rtt_;
  double k_ = 0;
  double t_ = 0;
};

TEST(CubeRoot, is_the_largest_integer_whose_cube_is_not_above) {
  for (std::uint64_t root = 0; root < 3000; ++root) {
    const std::uint64_t cube = root * root * root;
    EXPECT_EQ(cube_root(cube), root);
    EXPECT_EQ(cube_root(cube + 3 * root * root + 3 * root), root);  // one below the next cube
  }
  for (std::uint64_t root = 2'642'245; root > 3; root = root * 9 / 10) {  // 2^64 lies behind
    const std::uint64_t cube = root * root * root;
    EXPECT_EQ(cube_root(cube), root);
    EXPECT_EQ(cube_root(cube - 1), root - 1);
  }
  EXPECT_EQ(cube_root(UINT64_MAX), 2'642'245U);
}

TEST(Cubic, rfc9438_4_2_follows_the_curve_through_plateau_and_beyond) {
  struct Case {
    std::uint32_t window_segments;
    std::int64_t rtt_ms;
    int rounds;
  };
  for (const Case& c : {Case{200, 100, 150}, Case{2000, 40, 500}, Case{10'000, 200, 150},
                        Case{400, 10, 2000}, Case{50, 300, 60}}) {
    SCOPED_TRACE(c.window_segments);
    const Duration rtt = milliseconds(c.rtt_ms);
    Cubic cubic = after_loss(c.window_segments * mss);
    Reference reference(0.7 * c.window_segments, c.window_segments,
                        static_cast<double>(c.rtt_ms) / 1000);
    Duration t;
    double worst = 0;
    for (int i = 0; i < c.rounds; ++i) {
      t = t + rtt;
      round(cubic, at(t), rtt);
      const double expected = reference.round() * mss;
      worst = std::max(worst, std::abs(cubic.cwnd_bytes() - expected) / expected);
    }
    EXPECT_LT(worst, 0.01);
    EXPECT_GT(cubic.cwnd_bytes(), c.window_segments * mss);  // it did look further
  }
}

TEST(Cubic, rfc9438_4_4_and_4_5_concave_before_k_and_convex_after_it) {
  const Duration rtt = milliseconds(100);
  Cubic cubic = after_loss(10'000 * mss);
  const double k = Reference(7000, 10'000, 0.1).k();  // 19.6 s
  std::vector<std::uint32_t> growth;                  // of each second
  Duration t;
  while (t < seconds(40)) {
    const std::uint32_t before = cubic.cwnd_bytes();
    for (int i = 0; i < 10; ++i) {
      t = t + rtt;
      round(cubic, at(t), rtt);
    }
    growth.push_back(cubic.cwnd_bytes() - before);
  }
  const auto flat = static_cast<std::size_t>(k);
  for (std::size_t i = 2; i < flat; ++i)
    EXPECT_LT(growth[i], growth[i - 1]) << i;
  for (std::size_t i = flat + 2; i < growth.size(); ++i)
    EXPECT_GT(growth[i], growth[i - 1]) << i;
}

TEST(Cubic, rfc9438_4_4_grows_by_half_in_a_round_trip_at_most) {
  Cubic cubic = after_loss(100 * mss);
  const Duration rtt = seconds(60);
  Duration t;
  for (int i = 0; i < 10; ++i) {
    t = t + rtt;
    const std::uint32_t before = cubic.cwnd_bytes();
    cubic.on_ack({.now = at(t), .acked_bytes = before, .flight_peak_bytes = before, .srtt = rtt});
    EXPECT_LE(cubic.cwnd_bytes(), before + before / 2);
  }
}

TEST(Cubic, no_overflow_at_the_largest_windows_and_the_longest_round_trips) {
  for (const std::uint32_t segment : {536U, 1460U, 8960U}) {
    SCOPED_TRACE(segment);
    Cubic cubic(segment);
    cubic.on_congestion(CongestionCause::loss, cwnd_bytes_max, at({}));
    cubic.on_recovered(0, at({}));
    const std::uint32_t begun = cubic.cwnd_bytes();
    EXPECT_EQ(begun, 751'619'276U);  // 0.7 GiB
    Duration t;
    std::uint32_t before = begun;
    for (int i = 0; i < 100; ++i) {
      t = t + seconds(60);
      cubic.on_ack(
          {.now = at(t), .acked_bytes = before, .flight_peak_bytes = before, .srtt = seconds(60)});
      ASSERT_GE(cubic.cwnd_bytes(), before);
      ASSERT_LE(cubic.cwnd_bytes(), cwnd_bytes_max);
      before = cubic.cwnd_bytes();
    }
    EXPECT_EQ(before, cwnd_bytes_max);
  }
}

TEST(Cubic, rfc9438_4_6_loss_takes_three_tenths_and_a_mark_15_percent_rfc8511_3_1) {
  Cubic lost(mss);
  lost.on_congestion(CongestionCause::loss, 100 * mss, at({}));
  EXPECT_EQ(lost.ssthresh_bytes(), 70 * mss);
  EXPECT_EQ(lost.cwnd_bytes(), 10 * mss);  // RFC 6937 takes it down
  Cubic marked(mss);
  marked.on_congestion(CongestionCause::ecn, 100 * mss, at({}));
  EXPECT_EQ(marked.ssthresh_bytes(), 85 * mss);
  Cubic small(mss);
  small.on_congestion(CongestionCause::loss, mss, at({}));
  EXPECT_EQ(small.ssthresh_bytes(), 2 * mss);
}

TEST(Cubic, rfc9438_4_7_fast_convergence_leaves_room_below_the_last_maximum) {
  const Duration rtt = milliseconds(100);
  // Both lose at 700 segments. One had lost at 1000 before; the other never.
  Cubic shrinking = after_loss(1000 * mss);
  shrinking.on_congestion(CongestionCause::loss, 700 * mss, at({}));
  shrinking.on_recovered(0, at({}));
  Cubic fresh = after_loss(700 * mss);
  ASSERT_EQ(shrinking.cwnd_bytes(), fresh.cwnd_bytes());
  Reference shrunk(490, 700 * 0.85, 0.1);
  Reference plain(490, 700, 0.1);
  Duration t;
  for (int i = 0; i < 60; ++i) {  // 6 s; K is 6.4 s and 8.1 s
    t = t + rtt;
    round(shrinking, at(t), rtt);
    round(fresh, at(t), rtt);
    EXPECT_NEAR(shrinking.cwnd_bytes(), shrunk.round() * mss, 8 * mss);
    EXPECT_NEAR(fresh.cwnd_bytes(), plain.round() * mss, 8 * mss);
  }
  EXPECT_LT(shrinking.cwnd_bytes() + 80 * mss, fresh.cwnd_bytes());
}

TEST(Cubic, rfc9438_4_3_is_no_slower_than_reno_where_windows_are_small) {
  // 2 ms, 1.25 MB/s and a queue of ten segments: K would be two seconds, Reno's saw tooth is 15 ms.
  const PathSetup setup{
      .rate = 1'250'000, .round_trip = milliseconds(2), .queue_bytes_max = 10'000};
  Path cubic(CongestionAlgorithm::cubic, setup);
  Path reno(CongestionAlgorithm::reno, setup);
  std::uint64_t cubic_sum = 0;
  std::uint64_t reno_sum = 0;
  for (Path* path : {&cubic, &reno}) {
    path->run_for(seconds(2));
    for (int i = 0; i < 5000; ++i) {
      path->run_for(milliseconds(1));
      (path == &cubic ? cubic_sum : reno_sum) += path->control().cwnd_bytes();
    }
  }
  // RFC 9438 §4.3: the same average, from a higher bottom and with a smaller slope.
  EXPECT_GT(cubic_sum * 100, reno_sum * 95);
  EXPECT_LT(cubic_sum * 100, reno_sum * 125);
  EXPECT_GT(cubic.lost_bytes(), 0U);
}

TEST(Cubic,
     rfc9438_4_3_grows_by_nine_17ths_of_a_segment_and_by_a_whole_one_beyond_the_last_maximum) {
  const Duration rtt = milliseconds(1);
  Cubic cubic = after_loss(100 * mss);
  Duration t;
  for (int i = 0; i < 34; ++i) {
    t = t + rtt;
    round(cubic, at(t), rtt);
  }
  EXPECT_NEAR(cubic.cwnd_bytes(), 70 * mss + 34 * mss * 9 / 17, mss);
  while (cubic.cwnd_bytes() < 100 * mss) {
    t = t + rtt;
    round(cubic, at(t), rtt);
  }
  const std::uint32_t before = cubic.cwnd_bytes();
  for (int i = 0; i < 20; ++i) {
    t = t + rtt;
    round(cubic, at(t), rtt);
  }
  EXPECT_NEAR(cubic.cwnd_bytes(), before + 20 * mss, mss);
}

TEST(Cubic, rfc9438_5_8_does_not_grow_while_the_application_leaves_the_window_unused) {
  const Duration rtt = milliseconds(100);
  Cubic cubic = after_loss(1000 * mss);
  for (int i = 1; i <= 600; ++i)
    cubic.on_ack({.now = at(rtt * i),
                  .acked_bytes = 100 * mss,
                  .flight_peak_bytes = 100 * mss,
                  .srtt = rtt,
                  .application_limited = true});
  EXPECT_EQ(cubic.cwnd_bytes(), 700 * mss);
  // The minute did not count: it goes on where it was, not far out on the curve.
  Reference reference(700, 1000, 0.1);
  for (int i = 1; i <= 10; ++i) {
    round(cubic, at(seconds(60) + rtt * i), rtt);
    EXPECT_NEAR(cubic.cwnd_bytes(), reference.round() * mss, 4 * mss);
  }
}

TEST(Cubic, rfc9438_5_8_pauses_between_full_windows_do_not_count_as_time) {
  const Duration rtt = milliseconds(100);
  Cubic cubic = after_loss(1000 * mss);
  Reference reference(700, 1000, 0.1);
  double expected = 0;
  for (int i = 1; i <= 10; ++i) {
    round(cubic, at(seconds(i)), rtt);  // 900 ms of nothing before each
    reference.round();
    expected = reference.round() * mss;
  }
  // Of each pause no more than two round trips were counted: it is below the curve at 3 s.
  EXPECT_LT(cubic.cwnd_bytes(), expected + 60 * mss);
}

TEST(Cubic, rfc5681_4_1_after_idle_slow_start_back_to_ssthresh_and_then_a_new_stage) {
  const Duration rtt = milliseconds(100);
  Cubic cubic = after_loss(1000 * mss);
  cubic.on_idle(at(seconds(60)));
  EXPECT_EQ(cubic.cwnd_bytes(), 10 * mss);
  EXPECT_EQ(cubic.ssthresh_bytes(), 700 * mss);
  while (cubic.cwnd_bytes() < 700 * mss)
    cubic.on_ack({.now = at(seconds(61)),
                  .acked_bytes = 8 * mss,
                  .flight_peak_bytes = cubic.cwnd_bytes(),
                  .srtt = rtt});
  Reference reference(700, 1000, 0.1);
  for (int i = 1; i <= 30; ++i) {
    round(cubic, at(seconds(61) + rtt * i), rtt);
    EXPECT_NEAR(cubic.cwnd_bytes(), reference.round() * mss, 10 * mss);
  }
}

TEST(Cubic, rfc9438_4_8_after_a_timeout_the_next_stage_begins_on_the_plateau) {
  const Duration rtt = milliseconds(100);
  Cubic cubic = after_loss(1000 * mss);
  cubic.on_timeout(700 * mss, false, at({}));
  EXPECT_EQ(cubic.cwnd_bytes(), mss);
  EXPECT_EQ(cubic.ssthresh_bytes(), 490 * mss);
  cubic.on_timeout(mss, true, at({}));
  EXPECT_EQ(cubic.ssthresh_bytes(), 490 * mss);  // RFC 5681 §3.1
  while (cubic.cwnd_bytes() < cubic.ssthresh_bytes())
    cubic.on_ack({.now = at({}),
                  .acked_bytes = 8 * mss,
                  .flight_peak_bytes = cubic.cwnd_bytes(),
                  .srtt = rtt});
  Reference reference(490, 490, 0.1);  // K = 0; and Reno's pace until the prior window, 700
  for (int i = 1; i <= 50; ++i) {
    round(cubic, at(rtt * i), rtt);
    reference.round();
  }
  EXPECT_GT(cubic.cwnd_bytes(), 500 * mss);
  EXPECT_LT(cubic.cwnd_bytes(), 560 * mss);
}

TEST(Cubic, rfc9438_4_9_2_spurious_fast_retransmit_goes_on_as_if_nothing_had_been) {
  const Duration rtt = milliseconds(100);
  Cubic disturbed = after_loss(1000 * mss);
  Cubic quiet = disturbed;
  for (int i = 1; i <= 20; ++i) {
    round(disturbed, at(rtt * i), rtt);
    round(quiet, at(rtt * i), rtt);
  }
  disturbed.on_congestion(CongestionCause::loss, disturbed.cwnd_bytes(), at(rtt * 20));
  disturbed.on_recovered(0, at(rtt * 21));
  EXPECT_LT(disturbed.cwnd_bytes(), quiet.cwnd_bytes());
  disturbed.undo(at(rtt * 22));
  EXPECT_EQ(disturbed.cwnd_bytes(), quiet.cwnd_bytes());
  EXPECT_EQ(disturbed.ssthresh_bytes(), quiet.ssthresh_bytes());
  for (int i = 1; i <= 20; ++i) {
    round(disturbed, at(rtt * (22 + i)), rtt);
    round(quiet, at(rtt * (20 + i)), rtt);
    EXPECT_NEAR(disturbed.cwnd_bytes(), quiet.cwnd_bytes(), mss);
  }
}

TEST(Cubic, rfc9438_4_9_1_spurious_timeout_is_taken_back_once) {
  Cubic cubic = after_loss(1000 * mss);
  cubic.on_timeout(700 * mss, false, at({}));
  cubic.on_timeout(mss, true, at({}));
  cubic.undo(at({}));
  EXPECT_EQ(cubic.cwnd_bytes(), 700 * mss);
  EXPECT_EQ(cubic.ssthresh_bytes(), 700 * mss);
  cubic.on_timeout(700 * mss, false, at({}));
  cubic.undo(at({}));
  cubic.undo(at({}));  // nothing left to undo
  EXPECT_EQ(cubic.cwnd_bytes(), 700 * mss);
}

TEST(Cubic, rfc9438_4_9_2_undone_in_recovery_its_end_changes_nothing) {
  Cubic cubic(mss);
  cubic.on_congestion(CongestionCause::loss, 10 * mss, at({}));
  cubic.undo(at({}));
  cubic.on_recovered(0, at({}));
  EXPECT_EQ(cubic.cwnd_bytes(), 10 * mss);
  EXPECT_EQ(cubic.ssthresh_bytes(), Cubic(mss).ssthresh_bytes());
}

TEST(Cubic, fills_a_long_path_whose_queue_is_short) {
  // 100 Mbit/s, 100 ms: 1250 segments; a queue of 400.
  Path path(CongestionAlgorithm::cubic,
            {.round_trip = milliseconds(100), .queue_bytes_max = 400'000});
  path.run_for(seconds(10));
  const std::uint64_t before = path.delivered_bytes();
  path.run_for(seconds(40));
  EXPECT_GT(path.delivered_bytes() - before, 40 * 12'500'000ULL * 90 / 100);
  EXPECT_GT(path.lost_bytes(), 0U);
}

TEST(Cubic, grows_by_as_much_when_acknowledgements_are_coalesced) {
  const Duration rtt = milliseconds(100);
  Cubic each = after_loss(1000 * mss);
  Cubic coalesced = after_loss(1000 * mss);
  for (int i = 1; i <= 50; ++i) {
    round(each, at(rtt * i), rtt);
    const std::uint32_t cwnd = coalesced.cwnd_bytes();
    for (std::int64_t part = 1; part <= 10; ++part)
      coalesced.on_ack({.now = at(rtt * (i - 1) + rtt * part / 10),
                        .acked_bytes = cwnd / 10,
                        .flight_peak_bytes = coalesced.cwnd_bytes(),
                        .srtt = rtt});
  }
  EXPECT_NEAR(each.cwnd_bytes(), coalesced.cwnd_bytes(), each.cwnd_bytes() / 50);
}

}  // namespace
}  // namespace strictsend::tcp
