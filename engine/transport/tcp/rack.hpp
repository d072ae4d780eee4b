// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.hpp"
#include "engine/transport/tcp/scoreboard.hpp"

namespace strictsend::tcp {

/// The least of the values seen in the last five minutes (Kathleen Nichols' windowed filter in its
/// simplest form: two buckets). RFC 8985 §6.2 step 1 leaves the window open; a path may grow
/// longer.
class WindowedMin {
 public:
  void sample(Duration value, Time now);
  [[nodiscard]] Duration get() const { return least_ < before_ ? least_ : before_; }
  [[nodiscard]] bool has_sample() const { return get() != none; }

 private:
  static constexpr Duration none{INT64_MAX};
  Duration least_ = none, before_ = none;
  Time bucket_until_;
};

/// Loss detection by time: RFC 8985 §6. A transmission is lost if one that was sent sufficiently
/// later has arrived. Owned by its Sender; pure.
class Rack {
 public:
  /// Step 2 and 3: a piece of the stream has arrived, now. `echo_is_older`: the acknowledgement's
  /// timestamp echo tells that it answers an earlier transmission than the piece's last.
  void delivered(const Run& piece, Time now, Duration rtt_min, bool echo_is_older);

  /// Step 4, once for each acknowledgement. `dsack`: it told of a duplicate (RFC 2883).
  void update_window(bool dsack, Position una, Position nxt);
  /// The window of the recovery that has just ended counts: RFC 8985 §6.2 step 4.
  void recovery_ended();

  /// What had been taken for lost was only late.
  void was_reordered() { reordering_seen_ = true; }

  /// Step 5: marks what is lost. `eager`: recovery goes on, or three segments tell of a loss (RFC
  /// 5681 §3.2): then nothing is waited for as long as nothing ever came out of order.
  struct Detected {
    std::uint32_t lost_bytes = 0;
    Time again_at = Time::never();  ///< when the next could be lost
  };
  Detected detect(Scoreboard& board, Time now, bool eager, Duration rtt_min, Duration srtt) const;

  /// Step 6.3: at a time-out, whether a transmission counts as lost.
  [[nodiscard]] bool expired(const Run& run, Time now, Duration rtt_min, Duration srtt) const;

  [[nodiscard]] Duration rtt() const { return rtt_; }

 private:
  [[nodiscard]] Duration window(bool eager, Duration rtt_min, Duration srtt) const;

  Time sent_at_;  // of the latest transmission that has arrived
  Position end_ = 0;
  Position fack_ = 0;  // the highest that has arrived
  Duration rtt_;
  std::uint32_t window_mult_ = 1;
  std::uint8_t window_persist_ = 0;
  bool reordering_seen_ = false;
  std::optional<Position> dsack_round_;
};

}  // namespace strictsend::tcp
