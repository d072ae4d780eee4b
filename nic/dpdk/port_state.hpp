// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

namespace strictsend::nic::dpdk {

/// What the queues of a port and its watcher tell each other. DPDK forbids touching a queue while
/// its port is stopped, so a reset waits until every queue's thread has stepped aside, and the last
/// queue to stop closes the port for all.
///
///     running ──▶ resetting ──(all aside; stop, reset, start)──▶ running
///        │            └──(failed)──▶ lost
///        ├──(removed by the bus)──▶ lost ──(every queue stopped)──▶ closed; given back to its bus
///        └──(every queue stopped)──▶ closed
struct PortState {
  enum class Phase : std::uint8_t { running, resetting, lost, closed };

  explicit PortState(std::uint32_t queue_count)
      : queues(queue_count), aside(std::make_unique<std::atomic<bool>[]>(queue_count)) {}

  const std::uint32_t queues;
  /// Written by the watcher and by the queue that stops last. Sequentially consistent with `aside`:
  /// a queue says that it comes back before it looks at the phase, and the watcher sets the phase
  /// before it looks who is aside, so one of them sees the other.
  std::atomic<Phase> phase = Phase::running;
  /// Whether a queue's thread is out of the device; written by that thread.
  std::unique_ptr<std::atomic<bool>[]> aside;
  /// Before `closed`: the driver has really stopped and closed the device.
  std::atomic<bool> let_go = false;
  std::atomic<std::uint32_t> stopped = 0;  ///< queues whose `stop` was called
  std::atomic<bool> link_up = true;        ///< written by the watcher
};

}  // namespace strictsend::nic::dpdk
