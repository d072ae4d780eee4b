// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.hpp"

namespace strictsend::nic::dpdk {

/// What a queue's transmit side looks like from outside, at about one instant.
struct TxSight {
  std::uint64_t turns = 0;        ///< how often its thread has looked at the device
  std::uint64_t bursts = 0;       ///< of which the driver took some packet
  std::uint64_t completed = 0;    ///< packets that the device is done with; refused ones are not
  std::uint32_t outstanding = 0;  ///< packets taken and not completed, those staged included
  std::uint32_t staged = 0;       ///< of them, not taken by the driver yet
};

/// Tells a device that hangs from one that is slow, unplugged or merely not looked at, like Linux's
/// dev_watchdog: 5 s without any progress while packets wait. Resetting the device is the first
/// remedy; where that was done three times without a completion in between, it is lost.
///
/// While the link is down nothing is expected to move, and no reset counts. But a device that has
/// lost its configuration may say "down" for ever, so it is reset then too, less and less often: a
/// device without a link has nothing to lose by that.
///
/// Pure: the time and what is seen are given to it. The watcher's thread owns it.
class TxWatchdog {
 public:
  static constexpr Duration limit_default = seconds(5);
  static constexpr std::uint32_t resets_max = 3;

  /// `completes_by_itself`: completions come although nothing more is sent
  /// (!PortCapabilities::late_completion); otherwise only packets that the driver does not take are
  /// a sign.
  TxWatchdog(std::uint32_t queues, bool completes_by_itself, Duration limit = limit_default);

  struct Finding {
    bool is_lost = false;  ///< otherwise it is to be reset
    std::string why;       ///< for people
  };
  /// To be called several times a second, with what each queue looks like.
  std::optional<Finding> observe(Time now, bool link_up, std::span<const TxSight> queues);
  /// The device was reset while its queues, which looked so, stood aside; for whatever reason.
  void note_reset(std::span<const TxSight> queues);

 private:
  struct Watched {
    TxSight last;
    Time completing_at;  ///< when it last completed something, or had nothing to complete
    Time taking_at;      ///< when the driver last took something, or had nothing to take
    /// A completion beyond so many is of a packet that was handed over after the last reset: those
    /// before it may be completed by the reset itself.
    std::uint64_t completed_by_reset = 0;
    std::uint32_t resets = 0;  ///< in a row, because of this queue
  };
  void look_at(Watched& queue, const TxSight& now_seen, Time now) const;
  [[nodiscard]] std::string stall_of(const Watched& queue, Time now, Duration after) const;

  bool completes_by_itself_;
  Duration limit_;
  std::vector<Watched> queues_;
  Time observed_;
  bool link_was_up_ = true;
  bool starts_anew_ = true;
  Duration link_down_limit_;
};

}  // namespace strictsend::nic::dpdk
