// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/clock.hpp"

namespace strictsend::tcp {

/// How long to wait for an acknowledgement: RFC 6298, with the weights of RFC 7323 appendix G for
/// senders that take several samples in one round trip.
///
/// A value inside the sender; pure. Which measurements are valid (Karn's rule) is the sender's
/// business.
class RttEstimator {
 public:
  /// `rto_min`: least that the time-out exceeds the smoothed round trip by.
  RttEstimator(Duration rto_min, Duration rto_max) : rto_min_(rto_min), rto_max_(rto_max) {}

  /// A valid measurement. `samples_per_round_trip` is how many of its kind come in one round trip.
  void sample(Duration rtt, std::uint32_t samples_per_round_trip = 1);

  /// The timer has expired. RFC 6298 §5.5. Undone by the next sample.
  void back_off();

  /// Data transmission begins after a SYN-ACK had to be repeated. RFC 6298 §5.7.
  void handshake_was_retransmitted();

  [[nodiscard]] Duration rto() const;       ///< backed off
  [[nodiscard]] Duration base_rto() const;  ///< without back-off
  [[nodiscard]] Duration rto_max() const { return rto_max_; }
  [[nodiscard]] bool has_sample() const { return has_sample_; }
  [[nodiscard]] Duration srtt() const { return srtt_; }
  [[nodiscard]] Duration rttvar() const { return rttvar_; }

 private:
  Duration rto_min_;
  Duration rto_max_;
  Duration srtt_;
  Duration rttvar_;
  Duration base_rto_ = seconds(1);  // RFC 6298 §2.1
  std::uint8_t back_offs_ = 0;
  bool has_sample_ = false;
};

/// The granularity G of our timestamp clock and the smallest variance term. RFC 6298 §2.2.
inline constexpr Duration clock_granularity = milliseconds(1);

}  // namespace strictsend::tcp
