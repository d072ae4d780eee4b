// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "engine/transport/tcp/loss_based.hpp"

namespace strictsend::tcp {

/// The largest integer whose cube is not above `value`.
[[nodiscard]] std::uint32_t cube_root(std::uint64_t value);

/// RFC 9438. The window is a function of the time since the last reduction: it rises fast to where
/// the loss was (W_max, reached after K), stays there for a while, and then looks further; but
/// nowhere does it grow slower than Reno would.
///
///     cwnd  |                      /
///     W_max |.........._____......
///           |     .-'
///           |   /
///           +--------------K--------> t
///
/// Time in which the window was not in use does not count.
///
/// A value inside the sender; pure.
class Cubic : public LossBased {
 public:
  explicit Cubic(std::uint32_t mss_bytes) : LossBased(mss_bytes) {}

  void on_ack(const AckSample& ack);
  void on_congestion(CongestionCause cause, std::uint32_t in_flight_bytes, Time now);
  void on_recovered(std::uint32_t in_flight_bytes, Time now);
  void on_timeout(std::uint32_t in_flight_bytes, bool repeated, Time now);
  void undo(Time now);
  void on_idle(Time now);

 private:
  /// One stage of congestion avoidance.
  struct Epoch {
    bool running = false;
    Duration elapsed;  // RFC 9438 §4.2, t: of the time in which the window was in use
    Time updated;
    std::uint32_t origin_bytes = 0;  // where the curve is flat: W_max, or where the stage began
    std::uint32_t k_ticks = 0;       // and when
    std::uint32_t reno_bytes = 0;    // RFC 9438 §4.3, W_est
  };
  /// What a spurious reduction is taken back to: RFC 9438 §4.9.
  struct Before {
    std::uint32_t cwnd_bytes = 0;  // 0: nothing to undo
    std::uint32_t ssthresh_bytes = 0;
    std::uint32_t w_max_bytes = 0;
    std::uint32_t cwnd_prior_bytes = 0;
    Epoch epoch;
  };

  void remember();
  void begin_epoch(Time now);
  void grow_like_reno(std::uint32_t acked_bytes);
  [[nodiscard]] std::uint32_t curve_bytes(Duration t) const;

  std::uint32_t w_max_bytes_ = 0;       // 0: unknown
  std::uint32_t cwnd_prior_bytes_ = 0;  // when ssthresh was last set
  Epoch epoch_;
  // What the divisions left over, so that many small acknowledgements grow as one large one does.
  std::uint64_t reno_rest_ = 0;
  std::uint64_t growth_rest_ = 0;
  Before before_;
};

}  // namespace strictsend::tcp
