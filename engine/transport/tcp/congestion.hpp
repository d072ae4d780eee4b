// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <optional>

#include "base/clock.hpp"

namespace strictsend::tcp {

/// What one acknowledgement says, after loss detection has run on it.
struct AckSample {
  Time now;
  std::uint32_t acked_bytes = 0;  ///< newly acknowledged cumulatively
  /// Newly known to have arrived: acknowledged or SACKed for the first time.
  std::uint32_t delivered_bytes = 0;
  std::uint32_t lost_bytes = 0;       ///< newly taken for lost
  std::uint32_t in_flight_bytes = 0;  ///< RFC 6675 pipe, after it
  /// Most that was outstanding at once in the last window (RFC 7661).
  std::uint32_t flight_peak_bytes = 0;
  std::optional<Duration> rtt;  ///< of what it acknowledges, when that is unambiguous
  Duration rtt_min;             ///< least of the connection's last samples; zero: none yet
  Duration srtt;                ///< zero: none yet
  /// All that was outstanding at the last round's start has now been acknowledged.
  bool round_start = false;
  /// Fast recovery (loss or ECN reduction) goes on: PRR steers the window of Reno and Cubic.
  bool in_recovery = false;
  bool after_timeout = false;  ///< what was outstanding at the last time-out is not yet covered
  std::uint64_t delivered_total = 0;  ///< bytes ever delivered
  /// Bytes per second over the sample's interval; 0: no valid sample.
  std::uint64_t delivery_rate = 0;
  /// The sample was taken while the application had too little to send.
  bool application_limited = false;
};

enum class CongestionCause : std::uint8_t { loss, ecn };

/// What an algorithm must answer. The sender holds the one in use by value and touches it through
/// these only: no heap, no virtual call, no clock of its own.
template <class Algorithm>
concept CongestionAware = std::constructible_from<Algorithm, std::uint32_t> &&
    requires(Algorithm algorithm, const Algorithm constant, const AckSample ack,
             CongestionCause cause, std::uint32_t bytes, Time now) {
  { constant.cwnd_bytes() } -> std::same_as<std::uint32_t>;
  { constant.ssthresh_bytes() } -> std::same_as<std::uint32_t>;
  { constant.restart_window_bytes() } -> std::same_as<std::uint32_t>;  // RFC 5681 §4.1
  // Bytes per second; 0: the sender paces by cwnd and srtt.
  { constant.pacing_rate() } -> std::same_as<std::uint64_t>;
  { Algorithm::uses_prr } -> std::convertible_to<bool>;  // RFC 6937 steers it in recovery

  algorithm.on_ack(ack);                       // delivered something, also during recovery
  algorithm.on_congestion(cause, bytes, now);  // once a window: sets ssthresh
  algorithm.on_recovered(bytes, now);          // the reduction is over
  algorithm.on_timeout(bytes, true, now);      // back to one segment; true: repeated
  algorithm.undo(now);     // the last reduction was spurious; without one nothing happens
  algorithm.on_idle(now);  // before the first segment after a pause of more than an RTO
  algorithm.start_with_one_segment();  // the handshake met loss
  algorithm.set_mss(bytes);            // the path MTU changed: cwnd stays
};

/// More than any window that can be announced (RFC 7323 §2.3), so it limits nothing but overflow.
inline constexpr std::uint32_t cwnd_bytes_max = std::uint32_t{1} << 30;

/// RFC 6928 §2
constexpr std::uint32_t initial_window_bytes(std::uint32_t mss_bytes) {
  return std::min(10 * mss_bytes, std::max(2 * mss_bytes, std::uint32_t{14600}));
}

/// What the algorithms with slow start keep.
struct CongestionWindow {
  explicit constexpr CongestionWindow(std::uint32_t mss)
      : mss_bytes(mss), cwnd_bytes(initial_window_bytes(mss)) {}

  std::uint32_t mss_bytes;
  std::uint32_t cwnd_bytes;
  std::uint32_t ssthresh_bytes = cwnd_bytes_max;  ///< until the first reduction

  [[nodiscard]] constexpr bool in_slow_start() const { return cwnd_bytes < ssthresh_bytes; }
  /// RFC 5681 §4.1
  [[nodiscard]] constexpr std::uint32_t restart_bytes() const {
    return std::min(initial_window_bytes(mss_bytes), cwnd_bytes);
  }
  /// RFC 7661 §4.1 in its simplest form: a window that was not filled says nothing about the path.
  [[nodiscard]] constexpr bool was_filled(const AckSample& ack) const {
    return ack.flight_peak_bytes + mss_bytes > cwnd_bytes;
  }
  constexpr void grow(std::uint32_t bytes) {
    cwnd_bytes = std::min(cwnd_bytes_max, cwnd_bytes + bytes);
  }
  /// The path MTU changed.
  constexpr void set_mss(std::uint32_t mss) {
    mss_bytes = mss;
    cwnd_bytes = std::max(cwnd_bytes, mss);
  }
};

}  // namespace strictsend::tcp
