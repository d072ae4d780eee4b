// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

#include "engine/transport/tcp/congestion.hpp"

namespace strictsend::tcp {

/// The largest of what was measured in the last so many rounds, from three samples: the best, the
/// best after it, and the best after that. So it costs the same for every length, and a sample that
/// leaves the window has its successor ready.
class MaxRateFilter {
 public:
  explicit MaxRateFilter(std::uint32_t rounds) : rounds_(rounds) {}

  void update(std::uint32_t round, std::uint64_t rate);
  [[nodiscard]] std::uint64_t best() const { return samples_[0].rate; }

 private:
  struct Sample {
    std::uint64_t rate = 0;
    std::uint32_t round = 0;
  };
  std::uint32_t rounds_;
  std::array<Sample, 3> samples_;
};

/// BBR version 1, as draft-cardwell-iccrg-bbr-congestion-control-00 has it and Linux does it: no
/// loss but a model of the path says how fast to send (the most that was delivered in ten rounds)
/// and how much may be out (that, times the least round trip of ten seconds).
///
///     Startup --(three rounds without a quarter more)--> Drain --(queue gone)--> ProbeBw
///        any of them --(least round trip is 10 s old)--> ProbeRtt --> Startup or ProbeBw
///
/// A mark says nothing to it. Where a gain is drawn, the time is what decides, so that a simulation
/// repeats itself. Section numbers are the draft's.
///
/// A value inside the sender; pure.
class Bbr {
 public:
  static constexpr bool uses_prr = false;

  enum class Mode : std::uint8_t { startup, drain, probe_bw, probe_rtt };

  explicit Bbr(std::uint32_t mss_bytes);

  [[nodiscard]] std::uint32_t cwnd_bytes() const { return cwnd_; }
  [[nodiscard]] std::uint32_t ssthresh_bytes() const { return ssthresh_; }
  /// It paces, so a pause lets out no burst.
  [[nodiscard]] std::uint32_t restart_window_bytes() const { return cwnd_; }
  [[nodiscard]] std::uint64_t pacing_rate() const { return pacing_rate_; }
  [[nodiscard]] Mode mode() const { return mode_; }
  [[nodiscard]] std::uint64_t bandwidth() const { return bandwidth_.best(); }  ///< bytes per second
  [[nodiscard]] Duration rtt_min() const { return rtt_min_; }                  ///< zero: none yet

  void on_ack(const AckSample& ack);
  void on_congestion(CongestionCause cause, std::uint32_t in_flight_bytes, Time now);
  void on_recovered(std::uint32_t in_flight_bytes, Time now);
  void on_timeout(std::uint32_t in_flight_bytes, bool repeated, Time now);
  void undo(Time now);
  void on_idle(Time now);
  void start_with_one_segment() { cwnd_ = mss_; }
  void set_mss(std::uint32_t mss_bytes);

 private:
  enum class Recovery : std::uint8_t { none, entering, conserving, growing, after_timeout };

  // The model.
  [[nodiscard]] bool rate_held_down(const AckSample& ack) const;
  void update_bandwidth(const AckSample& ack);
  void update_cycle(const AckSample& ack);
  void check_full_pipe(const AckSample& ack);
  void check_drain(const AckSample& ack);
  void update_rtt_min(const AckSample& ack);
  void update_probe_rtt(const AckSample& ack);
  void enter_probe_bw(Time now);
  void leave_probe_rtt(Time now);

  // What follows from it.
  void set_pacing_rate(const AckSample& ack);
  void set_cwnd(const AckSample& ack);
  [[nodiscard]] std::uint32_t pacing_gain() const;
  [[nodiscard]] std::uint32_t cwnd_gain() const;
  [[nodiscard]] std::uint32_t inflight_bytes(std::uint32_t gain) const;
  [[nodiscard]] std::uint32_t send_quantum_bytes() const;
  [[nodiscard]] std::uint32_t cwnd_bytes_min() const { return 4 * mss_; }  // §4.2.3.3
  void save_cwnd();
  void restore_cwnd();

  std::uint32_t mss_;
  std::uint32_t cwnd_;
  std::uint32_t ssthresh_ = cwnd_bytes_max;
  std::uint32_t prior_cwnd_ = 0;  // from before recovery or ProbeRtt
  std::uint64_t pacing_rate_ = 0;

  Mode mode_ = Mode::startup;
  Recovery recovery_ = Recovery::none;
  bool undoable_ = false;
  bool restarting_ = false;  // after a pause: the first acknowledgement is not yet here
  std::uint32_t round_ = 0;
  std::uint32_t recovery_round_ = 0;
  MaxRateFilter bandwidth_;

  // §4.3.2, Startup: is the pipe full?
  std::uint64_t full_bandwidth_ = 0;
  std::uint8_t rounds_without_growth_ = 0;
  bool pipe_filled_ = false;

  // §4.3.4, ProbeBw: which of the gains, since when.
  std::uint8_t cycle_index_ = 0;
  Time cycle_began_;

  // §4.3.5, ProbeRtt.
  Duration rtt_min_;
  Time rtt_min_at_;
  bool probe_rtt_reached_ = false;  // so little is out: the time and the round count from then
  Time probe_rtt_until_;
  std::uint32_t probe_rtt_round_ = 0;
  std::uint32_t limited_until_round_ = 0;  // rates before it were held down by ProbeRtt
};

}  // namespace strictsend::tcp
