// SPDX-License-Identifier: Apache-2.0
#include "tests/relay/relay_link.hpp"

#include <algorithm>

namespace strictsend::relay {

void RelayLink::let_leave(Time now) {
  while (!queue_.empty() && queue_.front().leaves_at <= now) {
    queued_bytes_ -= queue_.front().bytes;
    queue_.pop_front();
  }
}

bool RelayLink::is_full_for(std::uint32_t packet_bytes) const {
  // An empty queue takes any packet: else a limit below its size would be a cut cable.
  if (queue_.empty()) return false;
  return (setup_.queue_bytes_max > 0 && queued_bytes_ + packet_bytes > setup_.queue_bytes_max) ||
         (setup_.queue_packets_max > 0 && queue_.size() >= setup_.queue_packets_max);
}

Fate RelayLink::offer(std::uint32_t packet_bytes, bool ecn_capable, Time now) {
  ++counters_.packets_offered;
  counters_.bytes_offered += packet_bytes;
  // Every packet draws the same numbers whatever becomes of it, so that a change of one setting
  // leaves the others' victims as they were.
  const bool lost = random_.chance(setup_.loss_ppm);
  const bool held_up = random_.chance(setup_.reorder_ppm);
  const Duration hold_up = nanoseconds(1) + random_.up_to(setup_.reorder_delay_max);

  let_leave(now);
  if (is_full_for(packet_bytes)) {
    ++counters_.packets_overflowed;
    return {.kind = Fate::Kind::overflowed};
  }
  Fate fate;
  fate.marked =
      ecn_capable && setup_.ecn_threshold_bytes > 0 && queued_bytes_ >= setup_.ecn_threshold_bytes;
  free_at_ = std::max(free_at_, now);
  if (setup_.rate_bits_second > 0) {
    const std::uint64_t bits_ns = std::uint64_t{packet_bytes} * 8 * 1'000'000'000;
    free_at_ = free_at_ + nanoseconds(static_cast<std::int64_t>(bits_ns / setup_.rate_bits_second));
    queue_.push_back({.leaves_at = free_at_, .bytes = packet_bytes});
    queued_bytes_ += packet_bytes;
    counters_.queued_bytes_max = std::max(counters_.queued_bytes_max, queued_bytes_);
  }
  if (lost) {
    ++counters_.packets_lost;
    return {.kind = Fate::Kind::lost};
  }
  if (fate.marked) ++counters_.packets_marked;
  fate.departs_at = free_at_ + setup_.delay;
  if (held_up && setup_.reorder_delay_max.ns > 0) {
    ++counters_.packets_reordered;
    fate.departs_at = fate.departs_at + hold_up;
  }
  return fate;
}

}  // namespace strictsend::relay
