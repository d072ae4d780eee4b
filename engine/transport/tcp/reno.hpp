// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "engine/transport/tcp/loss_based.hpp"

namespace strictsend::tcp {

/// Slow start and congestion avoidance of RFC 5681, counted in bytes (RFC 3465), begun with ten
/// segments (RFC 6928).
///
/// A value inside the sender; pure.
class Reno : public LossBased {
 public:
  explicit Reno(std::uint32_t mss_bytes) : LossBased(mss_bytes) {}

  void on_ack(const AckSample& ack);
  void on_congestion(CongestionCause cause, std::uint32_t in_flight_bytes, Time now);
  void on_recovered(std::uint32_t in_flight_bytes, Time now);
  void on_timeout(std::uint32_t in_flight_bytes, bool repeated, Time now);
  void undo(Time now);
  void on_idle(Time now);

 private:
  void remember();

  std::uint32_t acked_in_avoidance_ = 0;

  // From before the last reduction; 0: nothing to undo.
  std::uint32_t undo_cwnd_ = 0;
  std::uint32_t undo_ssthresh_ = 0;
};

}  // namespace strictsend::tcp
