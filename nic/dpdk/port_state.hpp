// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "base/counter.hpp"
#include "nic/dpdk/tx_watchdog.hpp"

namespace strictsend::nic::dpdk {

/// A TxSight as its queue's thread shows it to the watcher. Relaxed: its parts may be of slightly
/// different instants.
struct alignas(64) ShownTxSight {
  Counter turns, bursts, completed, outstanding, staged;

  void show(const TxSight& sight) {
    turns.set(sight.turns);
    bursts.set(sight.bursts);
    completed.set(sight.completed);
    outstanding.set(sight.outstanding);
    staged.set(sight.staged);
  }
  [[nodiscard]] TxSight look() const {
    return {.turns = turns.get(),
            .bursts = bursts.get(),
            .completed = completed.get(),
            .outstanding = static_cast<std::uint32_t>(outstanding.get()),
            .staged = static_cast<std::uint32_t>(staged.get())};
  }
};

/// What the queues of a port and its watcher tell each other. DPDK forbids touching a queue while
/// its port is stopped, so a reset waits until every queue's thread has stepped aside, and the last
/// queue to stop closes the port for all.
///
///     running ──▶ resetting ──(all aside; stop, reset, start)──▶ running
///        │            └──(failed)──▶ lost
///        ├──(hangs, and three resets did not help)──▶ lost
///        ├──(removed by the bus)──▶ lost ──(every queue stopped)──▶ closed; given back to its bus
///        └──(every queue stopped)──▶ closed
struct PortState {
  enum class Phase : std::uint8_t { running, resetting, lost, closed };

  explicit PortState(std::uint32_t queue_count)
      : queues(queue_count),
        aside(std::make_unique<std::atomic<bool>[]>(queue_count)),
        tx(std::make_unique<ShownTxSight[]>(queue_count)) {}

  const std::uint32_t queues;
  /// Written by the watcher and by the queue that stops last. Sequentially consistent with `aside`:
  /// a queue says that it comes back before it looks at the phase, and the watcher sets the phase
  /// before it looks who is aside, so one of them sees the other.
  std::atomic<Phase> phase = Phase::running;
  /// Whether a queue's thread is out of the device; written by that thread.
  std::unique_ptr<std::atomic<bool>[]> aside;
  std::unique_ptr<ShownTxSight[]> tx;  ///< each written by its queue's thread
  std::atomic<bool> hurried = false;   ///< a queue needs its completions; taken by the watcher
  /// Before `closed`: the driver has really stopped and closed the device.
  std::atomic<bool> let_go = false;
  std::atomic<std::uint32_t> stopped = 0;  ///< queues whose `stop` was called
  std::atomic<bool> link_up = true;        ///< written by the watcher
};

}  // namespace strictsend::nic::dpdk
