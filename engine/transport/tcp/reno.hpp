// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "engine/transport/tcp/congestion.hpp"
#include "engine/transport/tcp/hystart.hpp"

namespace strictsend::tcp {

/// Slow start and congestion avoidance of RFC 5681, counted in bytes (RFC 3465), begun with ten
/// segments (RFC 6928). During recovery the window is not here: RFC 6937 steers it.
///
/// A value inside the sender; pure.
class Reno {
 public:
  static constexpr bool uses_prr = true;

  explicit Reno(std::uint32_t mss_bytes) : window_(mss_bytes) {}

  [[nodiscard]] std::uint32_t cwnd_bytes() const { return window_.cwnd_bytes; }
  [[nodiscard]] std::uint32_t ssthresh_bytes() const { return window_.ssthresh_bytes; }
  [[nodiscard]] std::uint32_t restart_window_bytes() const { return window_.restart_bytes(); }
  [[nodiscard]] std::uint64_t pacing_rate() const { return 0; }

  void on_ack(const AckSample& ack);
  void on_congestion(CongestionCause cause, std::uint32_t in_flight_bytes, Time now);
  void on_recovered(std::uint32_t in_flight_bytes, Time now);
  void on_timeout(std::uint32_t in_flight_bytes, bool repeated, Time now);
  void undo(Time now);
  void on_idle(Time now);
  void start_with_one_segment() { window_.cwnd_bytes = window_.mss_bytes; }
  void set_mss(std::uint32_t mss_bytes) { window_.set_mss(mss_bytes); }

 private:
  void remember();

  CongestionWindow window_;
  HyStart slow_start_;
  std::uint32_t acked_in_avoidance_ = 0;
  bool reducing_ = false;  // between on_congestion and on_recovered: ssthresh is set, cwnd not yet

  // From before the last reduction; 0: nothing to undo.
  std::uint32_t undo_cwnd_ = 0;
  std::uint32_t undo_ssthresh_ = 0;
};

}  // namespace strictsend::tcp
