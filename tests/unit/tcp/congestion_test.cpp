// SPDX-License-Identifier: Apache-2.0
// Congestion control: the algorithms alone, told what acknowledgements said.
#include <gtest/gtest.h>

#include "engine/transport/tcp/congestion_control.hpp"

namespace strictsend::tcp {
namespace {

TEST(Reno, rfc6928_2_initial_window) {
  EXPECT_EQ(Reno(1460).cwnd_bytes(), 14600U);
  EXPECT_EQ(Reno(9000).cwnd_bytes(), 18000U);  // max(2·MSS, 14600)
  EXPECT_EQ(Reno(536).cwnd_bytes(), 5360U);
}

TEST(Reno, rfc3465_2_3_one_segment_for_an_acknowledgement_after_a_timeout) {
  Reno reno(1000);
  reno.on_timeout(20'000, false, {});
  EXPECT_EQ(reno.cwnd_bytes(), 1000U);
  EXPECT_EQ(reno.ssthresh_bytes(), 10'000U);
  reno.on_ack({.acked_bytes = 15'000, .flight_peak_bytes = 20'000, .after_timeout = true});
  EXPECT_EQ(reno.cwnd_bytes(), 2000U);
}

TEST(Reno, rfc5681_3_1_repeated_timeout_keeps_ssthresh) {
  Reno reno(1000);
  reno.on_timeout(20'000, false, {});
  reno.on_timeout(1000, true, {});
  EXPECT_EQ(reno.ssthresh_bytes(), 10'000U);
}

TEST(Reno, rfc5681_3_1_never_below_two_segments_of_ssthresh) {
  Reno reno(1000);
  reno.on_congestion(CongestionCause::loss, 1000, {});
  EXPECT_EQ(reno.ssthresh_bytes(), 2000U);
}

TEST(Reno, rfc5681_equation_4_loss_halves_what_was_in_flight_when_recovery_ends) {
  Reno reno(1000);
  reno.on_congestion(CongestionCause::loss, 10'000, {});
  EXPECT_EQ(reno.cwnd_bytes(), 10'000U);  // RFC 6937 takes it down
  EXPECT_EQ(reno.ssthresh_bytes(), 5000U);
  reno.on_ack({.acked_bytes = 5000, .flight_peak_bytes = 10'000, .in_recovery = true});
  reno.on_recovered(2000, {});
  EXPECT_EQ(reno.cwnd_bytes(), 5000U);
}

TEST(Reno, rfc8511_3_1_a_mark_takes_a_fifth) {
  Reno reno(1000);
  reno.on_congestion(CongestionCause::ecn, 10'000, {});
  EXPECT_EQ(reno.ssthresh_bytes(), 8000U);
}

TEST(Reno, rfc5681_3_1_avoidance_adds_one_segment_for_each_window_acknowledged) {
  Reno reno(1000);
  reno.on_congestion(CongestionCause::loss, 10'000, {});
  reno.on_recovered(0, {});
  for (int i = 0; i < 4; ++i)
    reno.on_ack({.acked_bytes = 1000, .flight_peak_bytes = 5000});
  EXPECT_EQ(reno.cwnd_bytes(), 5000U);
  reno.on_ack({.acked_bytes = 1000, .flight_peak_bytes = 5000});
  EXPECT_EQ(reno.cwnd_bytes(), 6000U);
}

TEST(Reno, rfc7661_4_1_window_that_is_not_filled_does_not_grow) {
  Reno slow_start(1000);
  slow_start.on_ack({.acked_bytes = 5000, .flight_peak_bytes = 5000});
  EXPECT_EQ(slow_start.cwnd_bytes(), 10'000U);
  Reno avoidance(1000);
  avoidance.on_congestion(CongestionCause::loss, 10'000, {});
  avoidance.on_recovered(0, {});
  for (int i = 0; i < 20; ++i)
    avoidance.on_ack({.acked_bytes = 4000, .flight_peak_bytes = 4000, .application_limited = true});
  EXPECT_EQ(avoidance.cwnd_bytes(), 5000U);
}

TEST(Reno, spurious_loss_is_taken_back) {
  Reno reno(1000);
  reno.undo({});  // nothing to undo
  EXPECT_EQ(reno.cwnd_bytes(), 10'000U);
  reno.on_congestion(CongestionCause::loss, 10'000, {});
  reno.on_recovered(0, {});
  reno.undo({});
  EXPECT_EQ(reno.cwnd_bytes(), 10'000U);
  EXPECT_EQ(reno.ssthresh_bytes(), Reno(1000).ssthresh_bytes());
}

TEST(Reno, spurious_timeout_is_taken_back_however_often_it_fired) {
  Reno reno(1000);
  reno.on_timeout(10'000, false, {});
  reno.on_timeout(1000, true, {});
  reno.undo({});
  EXPECT_EQ(reno.cwnd_bytes(), 10'000U);
  EXPECT_EQ(reno.ssthresh_bytes(), Reno(1000).ssthresh_bytes());
}

TEST(Reno, spurious_timeout_in_recovery_leaves_the_loss_before_it) {
  Reno reno(1000);
  reno.on_congestion(CongestionCause::loss, 10'000, {});
  reno.on_timeout(4000, false, {});
  reno.undo({});
  EXPECT_EQ(reno.cwnd_bytes(), 5000U);
  EXPECT_EQ(reno.ssthresh_bytes(), 5000U);
}

TEST(Reno, new_mss_keeps_the_bytes_of_the_window_but_one_segment_at_least) {
  Reno reno(1000);
  reno.set_mss(500);
  EXPECT_EQ(reno.cwnd_bytes(), 10'000U);
  reno.on_timeout(10'000, false, {});
  EXPECT_EQ(reno.cwnd_bytes(), 500U);
  reno.set_mss(1400);
  EXPECT_EQ(reno.cwnd_bytes(), 1400U);
}

TEST(CongestionControl, is_the_algorithm_that_was_asked_for) {
  const CongestionControl cubic(CongestionAlgorithm::cubic, 1000);
  const CongestionControl reno(CongestionAlgorithm::reno, 1000);
  const CongestionControl bbr(CongestionAlgorithm::bbr, 1000);
  EXPECT_NE(cubic.get_if<Cubic>(), nullptr);
  EXPECT_NE(reno.get_if<Reno>(), nullptr);
  EXPECT_NE(bbr.get_if<Bbr>(), nullptr);
  EXPECT_TRUE(cubic.uses_prr());
  EXPECT_TRUE(reno.uses_prr());
  EXPECT_FALSE(bbr.uses_prr());
}

TEST(CongestionControl, hands_every_event_on) {
  for (const CongestionAlgorithm algorithm :
       {CongestionAlgorithm::cubic, CongestionAlgorithm::reno, CongestionAlgorithm::bbr}) {
    CongestionControl control(algorithm, 1000);
    EXPECT_EQ(control.cwnd_bytes(), 10'000U);  // RFC 6928 §2
    control.start_with_one_segment();
    EXPECT_EQ(control.cwnd_bytes(), 1000U);
    control.set_mss(1400);
    EXPECT_EQ(control.cwnd_bytes(), 1400U);
    control.on_ack({.acked_bytes = 1400, .delivered_bytes = 1400, .flight_peak_bytes = 1400});
    const std::uint32_t grown = control.cwnd_bytes();
    EXPECT_GE(grown, 2800U);
    control.on_idle({});
    EXPECT_EQ(control.cwnd_bytes(), control.restart_window_bytes());
    control.on_congestion(CongestionCause::loss, 20'000, {});
    control.on_recovered(10'000, {});
    if (control.uses_prr()) {
      EXPECT_EQ(control.cwnd_bytes(), control.ssthresh_bytes());
    }
    control.on_timeout(10'000, false, {});
    EXPECT_EQ(control.cwnd_bytes(), 1400U);
    control.undo({});
    EXPECT_GE(control.cwnd_bytes(), grown);
    EXPECT_EQ(control.pacing_rate(), 0U);
  }
}

}  // namespace
}  // namespace strictsend::tcp
