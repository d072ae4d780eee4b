// SPDX-License-Identifier: Apache-2.0
#include "nic/dpdk/tx_watchdog.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"

namespace strictsend::nic::dpdk {
namespace {

/// After a longer gap between two looks the whole process was held up, and the time says nothing.
constexpr Duration gap_max = seconds(1);

/// How far the limit of a device without a link grows: twice as long after each reset, to some 5
/// minutes.
constexpr std::int64_t link_down_factor_max = 64;

}  // namespace

TxWatchdog::TxWatchdog(std::uint32_t queues, bool completes_by_itself, Duration limit)
    : completes_by_itself_(completes_by_itself),
      limit_(limit),
      queues_(queues),
      link_down_limit_(limit) {}

void TxWatchdog::look_at(Watched& queue, const TxSight& now_seen, Time now) const {
  // Of a queue whose thread does not look, nothing is known: not even whether it has progressed.
  const bool unknown = starts_anew_ || now_seen.turns == queue.last.turns;
  const bool nothing_out = now_seen.outstanding <= now_seen.staged;
  if (unknown || nothing_out || !completes_by_itself_ || now_seen.completed != queue.last.completed)
    queue.completing_at = now;
  if (unknown || now_seen.staged == 0 || now_seen.bursts != queue.last.bursts)
    queue.taking_at = now;
  if (now_seen.completed > queue.completed_by_reset) queue.resets = 0;
  queue.last = now_seen;
}

std::string TxWatchdog::stall_of(const Watched& queue, Time now, Duration after) const {
  const auto waits = [](std::uint32_t packets) {
    return std::to_string(packets) + (packets == 1 ? " waits" : " wait");
  };
  if (now - queue.completing_at >= after)
    return "completes no packet (" + waits(queue.last.outstanding) + ")";
  if (now - queue.taking_at >= after) return "takes no packet (" + waits(queue.last.staged) + ")";
  return {};
}

std::optional<TxWatchdog::Finding> TxWatchdog::observe(Time now, bool link_up,
                                                       std::span<const TxSight> queues) {
  STRICTSEND_DEBUG_ASSERT(queues.size() == queues_.size());
  // A link that has just changed gives the device its time anew.
  if (now - observed_ > gap_max || link_up != link_was_up_) starts_anew_ = true;
  if (link_up) link_down_limit_ = limit_;
  for (std::size_t i = 0; i < queues.size(); ++i)
    look_at(queues_[i], queues[i], now);
  observed_ = now;
  link_was_up_ = link_up;
  starts_anew_ = false;

  const Duration after = link_up ? limit_ : link_down_limit_;
  for (std::size_t i = 0; i < queues_.size(); ++i) {
    Watched& queue = queues_[i];
    const std::string stall = stall_of(queue, now, after);
    if (stall.empty()) continue;
    const std::string seen = "queue " + std::to_string(i) + " " + stall + " for " +
                             std::to_string(after.ns / seconds(1).ns) + " s";
    if (!link_up) {
      link_down_limit_ = std::min(link_down_limit_ * 2, limit_ * link_down_factor_max);
      return Finding{false, seen + " and the link is down"};
    }
    if (queue.resets >= resets_max)
      return Finding{true, seen + ", and " + std::to_string(resets_max) + " resets did not help"};
    ++queue.resets;
    return Finding{false, seen + " although the link is up"};
  }
  return std::nullopt;
}

void TxWatchdog::note_reset(std::span<const TxSight> queues) {
  for (std::size_t i = 0; i < queues.size(); ++i) {
    const std::uint64_t in_device =
        queues[i].outstanding - std::min(queues[i].staged, queues[i].outstanding);
    queues_[i].completed_by_reset = queues[i].completed + in_device;
  }
  starts_anew_ = true;
}

}  // namespace strictsend::nic::dpdk
