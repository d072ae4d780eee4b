// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/counter.hpp"
#include "nic/port.hpp"

namespace strictsend::engine {

/// A queue's counters for other threads: those of the port are its engine thread's alone, which
/// copies them here now and then (reading them may cost a system call).
class NicCounters {
 public:
  /// The engine thread.
  void copy(const nic::QueueCounters& from) {
    tx_packets_.set(from.tx_packets);
    tx_bytes_.set(from.tx_bytes);
    tx_completions_.set(from.tx_completions);
    tx_dropped_.set(from.tx_dropped);
    tx_kicks_.set(from.tx_kicks);
    rx_packets_.set(from.rx_packets);
    rx_bytes_.set(from.rx_bytes);
    rx_dropped_.set(from.rx_dropped);
    tx_invalid_descriptors_.set(from.tx_invalid_descriptors);
    unexpected_completions_.set(from.unexpected_completions);
  }
  /// Any thread; two of them may be of slightly different instants.
  [[nodiscard]] nic::QueueCounters get() const {
    return {.tx_packets = tx_packets_.get(),
            .tx_bytes = tx_bytes_.get(),
            .tx_completions = tx_completions_.get(),
            .tx_dropped = tx_dropped_.get(),
            .tx_kicks = tx_kicks_.get(),
            .rx_packets = rx_packets_.get(),
            .rx_bytes = rx_bytes_.get(),
            .rx_dropped = rx_dropped_.get(),
            .tx_invalid_descriptors = tx_invalid_descriptors_.get(),
            .unexpected_completions = unexpected_completions_.get()};
  }

 private:
  Counter tx_packets_, tx_bytes_, tx_completions_, tx_dropped_, tx_kicks_;
  Counter rx_packets_, rx_bytes_, rx_dropped_;
  Counter tx_invalid_descriptors_, unexpected_completions_;
};

}  // namespace strictsend::engine
