// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "engine/transport/tcp/congestion.hpp"

namespace strictsend::tcp {

/// Slow start and congestion avoidance of RFC 5681, counted in bytes (RFC 3465), begun with ten
/// segments (RFC 6928). Window inflation during fast recovery is not here: it belongs to loss
/// recovery.
class Reno {
 public:
  explicit Reno(std::uint32_t mss_bytes);

  [[nodiscard]] std::uint32_t cwnd_bytes() const { return cwnd_; }
  [[nodiscard]] std::uint32_t ssthresh_bytes() const { return ssthresh_; }

  void on_ack(const CongestionAck& ack);
  void on_loss(std::uint32_t flight_bytes);
  void on_recovered(std::uint32_t flight_bytes);
  void on_timeout(std::uint32_t flight_bytes, bool repeated);
  void on_idle();
  [[nodiscard]] std::uint32_t restart_window_bytes() const;
  void start_with_one_segment();

 private:
  [[nodiscard]] std::uint32_t initial_window_bytes() const;
  void grow(std::uint32_t bytes);

  std::uint32_t mss_;
  std::uint32_t cwnd_;
  std::uint32_t ssthresh_;
  std::uint32_t acked_in_avoidance_ = 0;
};

}  // namespace strictsend::tcp
