// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/counter.hpp"
#include "nic/port.hpp"

namespace strictsend::nic {

/// QueueCounters for several threads: one engine thread counts here, or copies what its queue has
/// counted (reading that may cost a system call); any thread reads.
struct LiveCounters {
  Counter tx_packets, tx_bytes, tx_completions, tx_dropped, tx_kicks;
  Counter rx_packets, rx_bytes, rx_dropped;
  Counter tx_invalid_descriptors, unexpected_completions;

  /// The engine thread.
  void copy(const QueueCounters& from) {
    tx_packets.set(from.tx_packets);
    tx_bytes.set(from.tx_bytes);
    tx_completions.set(from.tx_completions);
    tx_dropped.set(from.tx_dropped);
    tx_kicks.set(from.tx_kicks);
    rx_packets.set(from.rx_packets);
    rx_bytes.set(from.rx_bytes);
    rx_dropped.set(from.rx_dropped);
    tx_invalid_descriptors.set(from.tx_invalid_descriptors);
    unexpected_completions.set(from.unexpected_completions);
  }
  /// Any thread; two of the values may be of slightly different instants.
  [[nodiscard]] QueueCounters values() const {
    return {.tx_packets = tx_packets.get(),
            .tx_bytes = tx_bytes.get(),
            .tx_completions = tx_completions.get(),
            .tx_dropped = tx_dropped.get(),
            .tx_kicks = tx_kicks.get(),
            .rx_packets = rx_packets.get(),
            .rx_bytes = rx_bytes.get(),
            .rx_dropped = rx_dropped.get(),
            .tx_invalid_descriptors = tx_invalid_descriptors.get(),
            .unexpected_completions = unexpected_completions.get()};
  }
};

}  // namespace strictsend::nic
