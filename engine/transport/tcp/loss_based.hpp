// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/transport/tcp/congestion.hpp"
#include "engine/transport/tcp/hystart.hpp"

namespace strictsend::tcp {

/// What Reno and Cubic have in common: a window that loss brings down, slow start by HyStart++, and
/// recovery and pacing that others do. During recovery the window is not here: RFC 6937 steers it.
class LossBased {
 public:
  static constexpr bool uses_prr = true;

  [[nodiscard]] std::uint32_t cwnd_bytes() const { return window_.cwnd_bytes; }
  [[nodiscard]] std::uint32_t ssthresh_bytes() const { return window_.ssthresh_bytes; }
  [[nodiscard]] std::uint32_t restart_window_bytes() const { return window_.restart_bytes(); }
  [[nodiscard]] std::uint64_t pacing_rate() const { return 0; }
  void start_with_one_segment() { window_.cwnd_bytes = window_.mss_bytes; }
  void set_mss(std::uint32_t mss_bytes) { window_.set_mss(mss_bytes); }

 protected:
  explicit LossBased(std::uint32_t mss_bytes) : window_(mss_bytes) {}

  /// The window that an undo goes back to: a reduction that is not carried out yet is not taken
  /// back with the one after it.
  [[nodiscard]] std::uint32_t cwnd_to_restore() const {
    return reducing_ ? std::min(window_.cwnd_bytes, window_.ssthresh_bytes) : window_.cwnd_bytes;
  }

  CongestionWindow window_;
  HyStart slow_start_;
  bool reducing_ = false;  // between on_congestion and on_recovered: ssthresh is set, cwnd not yet
};

}  // namespace strictsend::tcp
