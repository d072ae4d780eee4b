// SPDX-License-Identifier: Apache-2.0
// HyStart++: slow start that ends when the path's queue begins to fill.
#include "engine/transport/tcp/hystart.hpp"

#include <gtest/gtest.h>

#include "tests/unit/tcp/path.hpp"

namespace strictsend::tcp {
namespace {

constexpr std::uint32_t mss = 1000;

/// A round of slow start: ten acknowledgements of one segment, each with its round trip.
template <class RttOf>
void round(HyStart& slow_start, CongestionWindow& window, RttOf rtt_of) {
  for (int i = 0; i < 10 && window.in_slow_start(); ++i)
    slow_start.on_ack(window, {.acked_bytes = mss,
                               .flight_peak_bytes = window.cwnd_bytes,
                               .rtt = rtt_of(i),
                               .round_start = i == 0});
}

auto always(Duration rtt) {
  return [rtt](int) { return rtt; };
}

TEST(HyStart, rfc9406_4_2_a_step_of_the_round_trip_ends_slow_start_after_five_rounds) {
  HyStart slow_start;
  CongestionWindow window(mss);
  for (int i = 0; i < 3; ++i)
    round(slow_start, window, always(milliseconds(40)));
  EXPECT_FALSE(slow_start.conservative());
  EXPECT_EQ(window.cwnd_bytes, 40 * mss);
  // An eighth more is the threshold. The eighth sample tells, so two more grow at a quarter.
  round(slow_start, window, always(milliseconds(45)));
  EXPECT_TRUE(slow_start.conservative());
  EXPECT_EQ(window.cwnd_bytes, 47 * mss + 3 * mss / 4);
  for (int i = 0; i < 4; ++i)
    round(slow_start, window, always(milliseconds(45)));
  EXPECT_TRUE(window.in_slow_start());
  EXPECT_EQ(window.cwnd_bytes, 47 * mss + 43 * (mss / 4));
  round(slow_start, window, always(milliseconds(45)));
  EXPECT_FALSE(window.in_slow_start());
  EXPECT_EQ(window.ssthresh_bytes, 47 * mss + 43 * (mss / 4));
}

TEST(HyStart, rfc9406_4_2_noise_above_the_least_round_trip_is_no_queue) {
  HyStart slow_start;
  CongestionWindow window(mss);
  for (int i = 0; i < 50; ++i) {
    round(slow_start, window,
          [i](int n) { return milliseconds(n == i % 8 ? 40 : 40 + (n * 37 + i * 11) % 60); });
    ASSERT_FALSE(slow_start.conservative()) << i;
  }
  EXPECT_EQ(window.cwnd_bytes, 510 * mss);
}

TEST(HyStart, rfc9406_4_2_a_round_with_few_samples_says_nothing) {
  HyStart slow_start;
  CongestionWindow window(mss);
  round(slow_start, window, always(milliseconds(40)));
  for (int i = 0; i < 7; ++i)
    slow_start.on_ack(window, {.acked_bytes = mss,
                               .flight_peak_bytes = window.cwnd_bytes,
                               .rtt = milliseconds(100),
                               .round_start = i == 0});
  EXPECT_FALSE(slow_start.conservative());
}

TEST(HyStart, rfc9406_4_2_a_shorter_round_trip_in_conservative_slow_start_resumes_it) {
  HyStart slow_start;
  CongestionWindow window(mss);
  round(slow_start, window, always(milliseconds(40)));
  round(slow_start, window, always(milliseconds(60)));
  ASSERT_TRUE(slow_start.conservative());
  round(slow_start, window, always(milliseconds(41)));
  EXPECT_FALSE(slow_start.conservative());
  for (int i = 0; i < 10; ++i)
    round(slow_start, window, always(milliseconds(41)));
  EXPECT_TRUE(window.in_slow_start());
}

TEST(HyStart, rfc9406_4_3_threshold_is_between_4_and_16_ms) {
  struct Case {
    std::int64_t before_ms, below_ms, above_ms;
  };
  for (const Case& c : {Case{1, 4, 5}, Case{80, 89, 90}, Case{800, 815, 816}}) {
    SCOPED_TRACE(c.before_ms);
    for (const bool above : {false, true}) {
      HyStart slow_start;
      CongestionWindow window(mss);
      round(slow_start, window, always(milliseconds(c.before_ms)));
      round(slow_start, window, always(milliseconds(above ? c.above_ms : c.below_ms)));
      EXPECT_EQ(slow_start.conservative(), above);
    }
  }
}

TEST(HyStart, rfc9406_4_3_later_slow_starts_end_at_their_ssthresh_alone) {
  HyStart slow_start;
  CongestionWindow window(mss);
  window.ssthresh_bytes = 100 * mss;
  for (int i = 0; i < 8; ++i)
    round(slow_start, window, always(milliseconds(20 * (i + 1))));
  EXPECT_EQ(window.cwnd_bytes, 90 * mss);
  round(slow_start, window, always(milliseconds(300)));
  EXPECT_EQ(window.cwnd_bytes, 100 * mss);
}

TEST(HyStart, rfc9406_4_3_one_acknowledgement_grows_by_all_that_it_covers) {
  HyStart slow_start;
  CongestionWindow window(mss);
  EXPECT_EQ(slow_start.on_ack(window, {.acked_bytes = 10 * mss, .flight_peak_bytes = 10 * mss}),
            0U);
  EXPECT_EQ(window.cwnd_bytes, 20 * mss);
}

TEST(HyStart, rfc9406_leaves_slow_start_before_a_deep_queue_is_full) {
  for (const CongestionAlgorithm algorithm :
       {CongestionAlgorithm::cubic, CongestionAlgorithm::reno}) {
    // 500 segments fit on the path; the queue takes eight times as many.
    Path path(algorithm, {.queue_bytes_max = 4'000'000});
    path.run_for(milliseconds(1500));
    EXPECT_EQ(path.lost_bytes(), 0U);
    EXPECT_GE(path.control().cwnd_bytes(), path.control().ssthresh_bytes());
    EXPECT_GT(path.control().ssthresh_bytes(), 500'000U);
    EXPECT_LT(path.control().ssthresh_bytes(), 4'000'000U);
  }
}

}  // namespace
}  // namespace strictsend::tcp
