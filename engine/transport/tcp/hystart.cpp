// SPDX-License-Identifier: Apache-2.0
#include "engine/transport/tcp/hystart.hpp"

#include <algorithm>

namespace strictsend::tcp {

namespace {
// RFC 9406 §4.3
constexpr Duration threshold_min = milliseconds(4);
constexpr Duration threshold_max = milliseconds(16);
constexpr std::int64_t threshold_divisor = 8;
constexpr std::uint32_t samples_min = 8;
constexpr std::uint32_t conservative_divisor = 4;
constexpr std::uint8_t conservative_rounds_max = 5;
}  // namespace

/// RFC 9406 §4.2
void HyStart::measure(const AckSample& ack) {
  if (ack.round_start) {
    last_round_min_ = round_min_;
    round_min_ = none;
    samples_ = 0;
    // The round in which the delay grew counts, though it was under way.
    if (conservative()) ++conservative_rounds_;
  }
  if (!ack.rtt) return;
  round_min_ = std::min(round_min_, *ack.rtt);
  ++samples_;
  if (samples_ < samples_min) return;
  if (conservative()) {
    if (round_min_ < baseline_min_) conservative_rounds_ = 0;  // it was no queue
  } else if (last_round_min_ != none) {
    const Duration threshold =
        std::clamp(last_round_min_ / threshold_divisor, threshold_min, threshold_max);
    if (round_min_ >= last_round_min_ + threshold) {
      baseline_min_ = round_min_;
      conservative_rounds_ = 1;
    }
  }
}

std::uint32_t HyStart::on_ack(CongestionWindow& window, const AckSample& ack) {
  // RFC 9406 §4.3: later slow starts end at an ssthresh that was found out.
  const bool first = window.ssthresh_bytes == cwnd_bytes_max;
  if (first) {
    measure(ack);
    if (conservative_rounds_ > conservative_rounds_max) {
      window.ssthresh_bytes = window.cwnd_bytes;
      return ack.acked_bytes;
    }
  }
  // Half filled is enough (RFC 7661 §4.1), because growth doubles it.
  if (window.cwnd_bytes / 2 >= ack.flight_peak_bytes) return 0;
  // After a timeout one acknowledgement may cover much that the receiver had kept; it must not let
  // a burst out (RFC 3465 §2.3). Otherwise there is no bound (L of §4.3): receivers that coalesce
  // acknowledge many segments at once, and what that lets out is paced.
  const std::uint32_t bound = ack.after_timeout ? window.mss_bytes : ack.acked_bytes;
  const std::uint32_t divisor = first && conservative() ? conservative_divisor : 1;
  const std::uint32_t step = std::min(std::min(ack.acked_bytes, bound) / divisor,
                                      window.ssthresh_bytes - window.cwnd_bytes);
  window.grow(step);
  return window.in_slow_start() || ack.after_timeout ? 0 : ack.acked_bytes - step;
}

}  // namespace strictsend::tcp
