// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/clock.hpp"

namespace strictsend::transport {

/// Spreads what is sent over time: the generic cell rate algorithm (ITU-T I.371 annex A), so that
/// what came late is made up for, and no burst is longer than the tolerance. Pure.
///
///     theoretical arrival time  = when all that was sent would have left at the rate
///     may send                  = it is no more than the tolerance ahead of now
class Pacer {
 public:
  /// `rate`: bytes per second, 0: without limit. `burst_bytes`: that may always go at once.
  void set(std::uint64_t rate, std::uint64_t burst_bytes) {
    rate_ = rate;
    tolerance_ = rate == 0 ? Duration{} : std::max(time_of(burst_bytes), tolerance_min);
  }
  void sent(std::uint32_t bytes, Time now) {
    if (rate_ == 0) return;
    arrival_ = std::max(arrival_, now) + time_of(bytes);
  }
  /// When the next byte may go.
  [[nodiscard]] Time release_at() const { return rate_ == 0 ? Time{} : arrival_ - tolerance_; }
  [[nodiscard]] bool allows(Time now) const { return release_at() <= now; }

 private:
  /// Timers fire late; what a shorter tolerance forgets is lost to the rate.
  static constexpr Duration tolerance_min = milliseconds(1);

  [[nodiscard]] Duration time_of(std::uint64_t bytes) const {
    // Whole segments and bursts: below 2^33 bytes there is no overflow.
    return Duration{static_cast<std::int64_t>(bytes * 1'000'000'000U / rate_)};
  }

  std::uint64_t rate_ = 0;
  Duration tolerance_;
  Time arrival_;
};

}  // namespace strictsend::transport
