// SPDX-License-Identifier: Apache-2.0
// BBR over a bottleneck of fixed rate and delay; section numbers are those of
// draft-cardwell-iccrg-bbr-congestion-control-00.
#include "engine/transport/tcp/bbr.hpp"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "tests/unit/tcp/path.hpp"

namespace strictsend::tcp {
namespace {

constexpr std::uint32_t mss = Path::mss;
using Mode = Bbr::Mode;

// 100 Mbit/s and 40 ms hold 500 segments.
constexpr std::uint64_t rate = 12'500'000;
constexpr std::uint32_t path_bytes = 500'000;

class BbrPath : public Path {
 public:
  explicit BbrPath(const PathSetup& setup = {}) : Path(CongestionAlgorithm::bbr, setup) {}
  const Bbr& bbr() const { return *control().get_if<Bbr>(); }

  /// Runs until it is in that mode; returns how long that took.
  Duration run_until(Mode mode, Duration at_most) {
    const Time begin = now();
    while (bbr().mode() != mode && now() - begin < at_most)
      run_for(milliseconds(1));
    EXPECT_EQ(bbr().mode(), mode);
    return now() - begin;
  }
  std::uint64_t delivered_in(Duration time) {
    const std::uint64_t before = delivered_bytes();
    run_for(time);
    return delivered_bytes() - before;
  }
};

TEST(MaxRateFilter, best_of_the_window_and_then_the_next_best) {
  MaxRateFilter filter(10);
  filter.update(0, 100);
  filter.update(3, 80);
  filter.update(9, 60);
  EXPECT_EQ(filter.best(), 100U);
  filter.update(10, 10);
  EXPECT_EQ(filter.best(), 100U);
  filter.update(11, 10);
  EXPECT_EQ(filter.best(), 80U);
  filter.update(14, 10);
  EXPECT_EQ(filter.best(), 60U);
  filter.update(15, 200);
  EXPECT_EQ(filter.best(), 200U);
  filter.update(40, 5);  // long nothing
  EXPECT_EQ(filter.best(), 5U);
}

TEST(MaxRateFilter, never_below_the_newest_nor_above_the_true_maximum_of_the_window) {
  MaxRateFilter filter(10);
  std::uint32_t noise = 1;
  std::vector<std::uint64_t> rates;
  for (std::uint32_t round = 0; round < 2000; ++round) {
    noise = noise * 1'664'525 + 1'013'904'223;
    rates.push_back(1 + (noise >> 16) % 1000);
    filter.update(round, rates.back());
    const auto window = rates.end() - std::min<std::ptrdiff_t>(11, std::ssize(rates));
    ASSERT_GE(filter.best(), rates.back());
    ASSERT_LE(filter.best(), *std::max_element(window, rates.end())) << round;
  }
}

TEST(Bbr, draft_4_3_2_startup_doubles_until_the_pipe_is_full) {
  BbrPath path;
  EXPECT_EQ(path.bbr().cwnd_bytes(), 10 * mss);  // RFC 6928
  EXPECT_EQ(path.bbr().pacing_rate(), 0U);       // nothing is known of the path
  path.run_for(milliseconds(41));
  EXPECT_EQ(path.bbr().rtt_min() / 1'000'000, nanoseconds(40));
  EXPECT_GT(path.bbr().pacing_rate(), 2 * 10 * mss * 25ULL);  // more than twice a window a round
  // 10 to 500 segments are six doublings; then three rounds show that there is no more, each three
  // times as long for the queue that they make.
  const Duration startup = path.run_until(Mode::drain, seconds(2));
  EXPECT_GT(startup, milliseconds(6 * 40));
  EXPECT_LT(startup, milliseconds(6 * 40 + 4 * 120));
  EXPECT_GT(path.bbr().bandwidth(), rate * 95 / 100);
  EXPECT_LE(path.bbr().bandwidth(), rate * 101 / 100);
}

TEST(Bbr, draft_4_3_3_drain_ends_when_the_queue_of_startup_is_gone) {
  BbrPath path;
  path.run_until(Mode::drain, seconds(2));
  EXPECT_GT(path.queue_bytes(), path_bytes / 2);
  path.run_until(Mode::probe_bw, seconds(1));
  EXPECT_LT(path.queue_bytes(), 200'000U);  // the budget of three long segments
  EXPECT_EQ(path.bbr().ssthresh_bytes() / path_bytes, 1U);
}

TEST(Bbr, draft_4_3_4_probe_bw_uses_the_path_and_keeps_its_queue_short) {
  BbrPath path;
  path.run_for(seconds(2));
  ASSERT_EQ(path.bbr().mode(), Mode::probe_bw);
  std::uint64_t delivered = 0;
  std::uint64_t queued = 0;
  std::set<std::uint64_t> gains;  // in quarters
  for (int i = 0; i < 5000; ++i) {
    delivered += path.delivered_in(milliseconds(1));
    queued += path.queue_bytes();
    gains.insert((path.bbr().pacing_rate() * 4 + rate / 2) / rate);
    ASSERT_LE(path.bbr().cwnd_bytes(), 2 * path_bytes + 200'000);  // cwnd_gain is 2
  }
  EXPECT_GT(delivered, 5 * rate * 97 / 100);
  EXPECT_LT(queued / 5000, path_bytes / 4);
  EXPECT_EQ(gains, (std::set<std::uint64_t>{3, 4, 5}));  // 3/4, 1, 5/4
  EXPECT_EQ(path.lost_bytes(), 0U);
}

TEST(Bbr, draft_4_3_4_probe_bw_finds_more_where_there_is_more) {
  BbrPath path;
  path.run_for(seconds(2));
  path.set_rate(2 * rate);
  path.run_for(seconds(3));  // a quarter more each eight rounds
  EXPECT_GT(path.delivered_in(seconds(1)), 2 * rate * 95 / 100);
}

TEST(Bbr, draft_4_1_1_bandwidth_forgets_what_is_ten_rounds_old) {
  BbrPath path;
  path.run_for(seconds(2));
  path.set_rate(rate / 2);
  path.run_for(seconds(4));
  EXPECT_LT(path.bbr().bandwidth(), rate / 2 * 105 / 100);
  EXPECT_GT(path.delivered_in(seconds(1)), rate / 2 * 95 / 100);
}

TEST(Bbr, draft_4_3_5_probe_rtt_after_ten_seconds_empties_the_queue_and_comes_back) {
  BbrPath path;
  path.run_for(seconds(2));
  path.set_round_trip(milliseconds(60));  // longer: only a probe can tell that from a queue
  const Duration until_probe = path.run_until(Mode::probe_rtt, seconds(11));
  EXPECT_GT(until_probe, seconds(7));
  EXPECT_LE(path.bbr().cwnd_bytes(), 4 * mss);
  const std::uint64_t before = path.bbr().bandwidth();
  const Duration probing = path.run_until(Mode::probe_bw, seconds(2));
  EXPECT_GE(probing, milliseconds(200));
  EXPECT_LT(probing, milliseconds(600));
  EXPECT_EQ(path.bbr().rtt_min() / 1'000'000, nanoseconds(60));
  // What it sent meanwhile says nothing of the path, and the window is what it was.
  EXPECT_GT(path.bbr().bandwidth(), before * 95 / 100);
  EXPECT_GT(path.bbr().cwnd_bytes(), path_bytes);
  path.run_for(milliseconds(500));
  EXPECT_GT(path.delivered_in(seconds(1)), rate * 95 / 100);
}

TEST(Bbr, draft_4_3_5_what_probe_rtt_held_down_is_not_the_bandwidth_of_a_short_path) {
  BbrPath path({.round_trip = milliseconds(5)});  // probing lasts forty rounds
  path.run_for(seconds(2));
  path.set_round_trip(milliseconds(6));
  path.run_until(Mode::probe_rtt, seconds(11));
  path.run_until(Mode::probe_bw, seconds(1));
  for (int i = 0; i < 200; ++i) {
    path.run_for(milliseconds(1));
    ASSERT_GT(path.bbr().bandwidth(), rate * 90 / 100) << i;
  }
}

TEST(Bbr, draft_4_3_5_probe_rtt_lasts_a_whole_round_where_that_is_longer) {
  BbrPath path;
  path.run_for(seconds(2));
  Bbr bbr = path.bbr();
  Time now = path.now() + seconds(11);
  const auto ack = [&](bool round_start) {
    now = now + milliseconds(150);
    bbr.on_ack({.now = now,
                .delivered_bytes = mss,
                .in_flight_bytes = 4 * mss,
                .rtt = milliseconds(600),
                .round_start = round_start});
  };
  ack(false);
  ASSERT_EQ(bbr.mode(), Mode::probe_rtt);
  for (const bool round_start : {false, false, true, false, false, false}) {
    ack(round_start);  // the rest of the round that was under way, and the next
    EXPECT_EQ(bbr.mode(), Mode::probe_rtt);
  }
  ack(true);
  EXPECT_EQ(bbr.mode(), Mode::probe_bw);
  EXPECT_EQ(bbr.rtt_min(), milliseconds(600));
}

TEST(Bbr, draft_4_1_1_slow_application_does_not_lower_the_estimate_nor_end_startup) {
  BbrPath path({.application_rate = rate / 10});
  path.run_for(seconds(5));
  EXPECT_EQ(path.bbr().mode(), Mode::startup);
  EXPECT_GE(path.bbr().bandwidth(), rate / 10 * 95 / 100);
  path.set_round_trip(milliseconds(60));
  path.run_until(Mode::probe_rtt, seconds(11));  // held down by itself for four rounds
  path.run_until(Mode::startup, seconds(1));
  path.run_for(seconds(1));
  EXPECT_EQ(path.bbr().mode(), Mode::startup);

  Bbr bbr(mss);
  bbr.on_ack({.delivered_bytes = mss, .round_start = true, .delivery_rate = rate});
  for (int i = 0; i < 30; ++i)
    bbr.on_ack({.delivered_bytes = mss,
                .round_start = true,
                .delivery_rate = rate / 10,
                .application_limited = true});
  EXPECT_EQ(bbr.bandwidth(), rate);
}

TEST(Bbr, draft_4_2_3_4_recovery_lets_out_what_arrives_and_then_restores_the_window) {
  BbrPath path;
  path.run_for(seconds(2));
  Bbr bbr = path.bbr();
  const std::uint32_t before = bbr.cwnd_bytes();
  const Time now = path.now();
  bbr.on_congestion(CongestionCause::loss, path_bytes, now);
  std::uint32_t in_flight = 300'000;  // 200 of 500 are lost
  bbr.on_ack({.now = now,
              .delivered_bytes = mss,
              .lost_bytes = 200'000,
              .in_flight_bytes = in_flight,
              .in_recovery = true});
  EXPECT_EQ(bbr.cwnd_bytes(), in_flight + mss);
  for (int i = 0; i < 100; ++i)  // each lets out one, so as many are in flight
    bbr.on_ack(
        {.now = now, .delivered_bytes = mss, .in_flight_bytes = in_flight, .in_recovery = true});
  EXPECT_EQ(bbr.cwnd_bytes(), in_flight + mss);
  bbr.on_recovered(in_flight, now);
  EXPECT_EQ(bbr.cwnd_bytes(), before);
}

TEST(Bbr, draft_4_2_3_4_timeout_begins_with_one_segment_and_restores_the_window_at_its_end) {
  BbrPath path;
  path.run_for(seconds(2));
  Bbr bbr = path.bbr();
  const std::uint32_t before = bbr.cwnd_bytes();
  const Time now = path.now();
  bbr.on_timeout(path_bytes, false, now);
  EXPECT_EQ(bbr.cwnd_bytes(), mss);
  bbr.on_timeout(mss, true, now);
  bbr.on_ack({.now = now, .delivered_bytes = mss, .after_timeout = true});
  EXPECT_LE(bbr.cwnd_bytes(), 4 * mss);
  bbr.on_ack({.now = now, .delivered_bytes = mss});
  EXPECT_GE(bbr.cwnd_bytes(), before);
  EXPECT_LE(bbr.cwnd_bytes(), before + mss);
  EXPECT_GT(bbr.pacing_rate(), rate / 2);
}

TEST(Bbr, spurious_loss_is_taken_back_and_a_mark_says_nothing) {
  BbrPath path;
  path.run_for(seconds(2));
  Bbr bbr = path.bbr();
  const std::uint32_t before = bbr.cwnd_bytes();
  const Time now = path.now();
  bbr.undo(now);  // nothing to undo
  EXPECT_EQ(bbr.cwnd_bytes(), before);
  bbr.on_congestion(CongestionCause::loss, path_bytes, now);
  bbr.on_ack({.now = now,
              .delivered_bytes = mss,
              .lost_bytes = 400'000,
              .in_flight_bytes = 100'000,
              .in_recovery = true});
  EXPECT_LT(bbr.cwnd_bytes(), before);
  bbr.undo(now);
  EXPECT_EQ(bbr.cwnd_bytes(), before);
  bbr.on_timeout(path_bytes, false, now);
  bbr.undo(now);
  EXPECT_EQ(bbr.cwnd_bytes(), before);
  bbr.on_congestion(CongestionCause::ecn, path_bytes, now);
  bbr.on_recovered(path_bytes, now);
  EXPECT_EQ(bbr.cwnd_bytes(), before);
}

TEST(Bbr, uses_a_path_with_a_short_queue_in_spite_of_losses) {
  // Half of what the path holds fits into the queue: Startup overflows it.
  BbrPath path({.queue_bytes_max = path_bytes / 2});
  path.run_for(seconds(3));
  EXPECT_GT(path.lost_bytes(), 0U);
  EXPECT_GT(path.delivered_in(seconds(5)), 5 * rate * 95 / 100);
}

TEST(Bbr, draft_4_3_4_4_after_a_pause_it_paces_at_the_bandwidth_and_keeps_its_window) {
  BbrPath path;
  path.run_for(seconds(2));
  Bbr bbr = path.bbr();
  const std::uint32_t before = bbr.cwnd_bytes();
  EXPECT_EQ(bbr.restart_window_bytes(), before);
  bbr.on_idle(path.now() + seconds(60));
  EXPECT_EQ(bbr.cwnd_bytes(), before);
  EXPECT_NEAR(static_cast<double>(bbr.pacing_rate()), rate, rate / 50);
  // The least round trip is old, but the pause has emptied the queue: no ProbeRtt for it.
  bbr.on_ack({.now = path.now() + seconds(60), .delivered_bytes = mss, .rtt = milliseconds(40)});
  EXPECT_EQ(bbr.mode(), Mode::probe_bw);
}

TEST(Bbr, no_overflow_at_the_largest_windows_and_the_longest_round_trips) {
  Bbr bbr(8960);
  Time now = Time{} + seconds(1);
  std::uint64_t delivered = 0;
  for (int i = 0; i < 60; ++i) {
    now = now + seconds(60);
    delivered += cwnd_bytes_max;
    bbr.on_ack({.now = now,
                .delivered_bytes = cwnd_bytes_max,
                .in_flight_bytes = cwnd_bytes_max,
                .rtt = seconds(60),
                .srtt = seconds(60),
                .round_start = true,
                .delivered_total = delivered,
                .delivery_rate = UINT64_MAX});
    ASSERT_GE(bbr.cwnd_bytes(), 4 * 8960U);
    ASSERT_LE(bbr.cwnd_bytes(), cwnd_bytes_max);
    ASSERT_GT(bbr.pacing_rate(), 0U);
    ASSERT_LE(bbr.pacing_rate(), std::uint64_t{1} << 38);
  }
}

TEST(Bbr, small_paths_and_fast_ones) {
  // 10 Gbit/s and 100 us; 1 Mbit/s and 10 ms, which is one segment.
  BbrPath fast({.rate = 1'250'000'000, .round_trip = microseconds(100)});
  fast.run_for(milliseconds(50));
  EXPECT_GT(fast.delivered_in(milliseconds(50)), 62'500'000ULL * 95 / 100);
  BbrPath slow({.rate = 125'000, .round_trip = milliseconds(10)});
  slow.run_for(seconds(5));
  EXPECT_GT(slow.delivered_in(seconds(5)), 5 * 125'000ULL * 90 / 100);
}

}  // namespace
}  // namespace strictsend::tcp
