// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "engine/transport/tcp/congestion.hpp"

namespace strictsend::tcp {

/// Slow start as Reno and Cubic do it: RFC 5681 §3.1, and HyStart++ (RFC 9406) in the first one,
/// where no loss has yet said how much the path holds. A round trip that got slower is taken for a
/// queue that fills: the window then grows at a quarter of the speed (conservative slow start), and
/// if the round trips stay slow for some rounds, that was the end of slow start.
///
/// A value inside its algorithm; pure.
class HyStart {
 public:
  /// Grows the window, and ends slow start by ssthresh when it is over. Call in slow start only.
  /// Returns what of the acknowledged bytes is left for congestion avoidance.
  std::uint32_t on_ack(CongestionWindow& window, const AckSample& ack);

  [[nodiscard]] bool conservative() const { return conservative_rounds_ > 0; }

 private:
  static constexpr Duration none = Duration{INT64_MAX};

  void measure(const AckSample& ack);

  Duration last_round_min_ = none;
  Duration round_min_ = none;
  Duration baseline_min_ = none;          // that of the round in which the delay grew
  std::uint32_t samples_ = 0;             // in this round
  std::uint8_t conservative_rounds_ = 0;  // begun; 0: not conservative
};

}  // namespace strictsend::tcp
