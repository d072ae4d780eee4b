// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/counter.hpp"
#include "nic/port.hpp"

namespace strictsend::nic::dpdk {

/// QueueCounters that the engine thread writes and the telemetry thread reads.
struct LiveCounters {
  Counter tx_packets, tx_bytes, tx_completions, tx_dropped, tx_kicks;
  Counter rx_packets, rx_bytes, rx_dropped;
  Counter tx_invalid_descriptors, unexpected_completions;

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

}  // namespace strictsend::nic::dpdk
