// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <variant>

#include "engine/transport/tcp/bbr.hpp"
#include "engine/transport/tcp/congestion.hpp"
#include "engine/transport/tcp/cubic.hpp"
#include "engine/transport/tcp/reno.hpp"

namespace strictsend::tcp {

enum class CongestionAlgorithm : std::uint8_t { cubic, reno, bbr };

/// The algorithm that a connection was opened with. What each call means: congestion.hpp.
///
/// A value inside the sender; pure.
class CongestionControl {
 public:
  CongestionControl(CongestionAlgorithm algorithm, std::uint32_t mss_bytes);

  [[nodiscard]] std::uint32_t cwnd_bytes() const;
  [[nodiscard]] std::uint32_t ssthresh_bytes() const;
  [[nodiscard]] std::uint32_t restart_window_bytes() const;
  [[nodiscard]] std::uint64_t pacing_rate() const;
  [[nodiscard]] bool uses_prr() const;

  void on_ack(const AckSample& ack);
  void on_congestion(CongestionCause cause, std::uint32_t in_flight_bytes, Time now);
  void on_recovered(std::uint32_t in_flight_bytes, Time now);
  void on_timeout(std::uint32_t in_flight_bytes, bool repeated, Time now);
  void undo(Time now);
  void on_idle(Time now);
  void start_with_one_segment();
  void set_mss(std::uint32_t mss_bytes);

  /// The algorithm itself, if it is that one; for tests and statistics.
  template <class Algorithm>
  [[nodiscard]] const Algorithm* get_if() const {
    return std::get_if<Algorithm>(&algorithm_);
  }

 private:
  using Any = std::variant<Cubic, Reno, Bbr>;
  static Any made(CongestionAlgorithm algorithm, std::uint32_t mss_bytes);

  Any algorithm_;
};

// A connection has one for its whole life, whatever the algorithm.
static_assert(sizeof(CongestionControl) <= 200);

}  // namespace strictsend::tcp
