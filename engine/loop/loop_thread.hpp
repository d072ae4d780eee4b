// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "base/result.hpp"
#include "engine/exchange/wake_up.hpp"
#include "engine/loop/queue_loop.hpp"
#include "nic/live_counters.hpp"

namespace strictsend::engine {

/// An engine thread: drives one QueueLoop in real time. Polls while there is work, spins for a
/// while without, then sleeps until a packet arrives, a timer is due or an application thread wakes
/// it.
///
/// Owned by the engine. It ends in three steps, each for all threads before the next, because a
/// device may stop only when all of its queues were told to; the destructor takes what is left of
/// them.
class LoopThread {
 public:
  /// `wake_up` is this loop's alone and outlives the thread.
  static Result<std::unique_ptr<LoopThread>> start(std::unique_ptr<QueueLoop> loop,
                                                   nic::Queue& queue, WakeUp& wake_up,
                                                   Duration spin);
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;
  ~LoopThread();

  [[nodiscard]] QueueLoop& loop() { return *loop_; }
  [[nodiscard]] const QueueLoop& loop() const { return *loop_; }

  /// After pushing to the loop's intakes; a system call only if the thread sleeps. Any thread.
  void wake() { wake_up_.wake(); }
  /// Has every connection finish what it has queued, and takes no new ones.
  void drain();
  /// Whether no splice is left; meaningful once draining.
  [[nodiscard]] bool quiet() const { return quiet_.load(std::memory_order_acquire); }
  // One thread; each is idempotent.
  /// Has the thread reset what is left, stop its queue of the device, and end.
  void request_stop();
  /// Waits for that.
  void join();
  /// After joining: carries out what application threads asked for after the last turn, and gives
  /// up what the device holds. Returns how many packets' frames stay pinned.
  std::uint32_t conclude();

  /// The NIC queue's counters. Any thread: as of the last time that the thread had nothing to do,
  /// or some 100 ms ago.
  [[nodiscard]] nic::QueueCounters nic_counters() const { return nic_counters_.values(); }

 private:
  enum class Phase : std::uint8_t { running, draining, stopping };

  LoopThread(std::unique_ptr<QueueLoop> loop, nic::Queue& queue, WakeUp& wake_up, Duration spin);
  void run();
  void shut_down();
  void copy_nic_counters(Time now);
  void sleep_until(Time deadline);

  std::unique_ptr<QueueLoop> loop_;
  nic::Queue& queue_;
  const Duration spin_;
  WakeUp& wake_up_;
  std::atomic<Phase> phase_ =
      Phase::running;                ///< written by the engine's owner, read by the thread
  std::atomic<bool> quiet_ = false;  ///< written by the thread
  nic::LiveCounters nic_counters_;
  Time counters_copied_;  ///< the thread's
  bool concluded_ = false;
  std::uint32_t packets_quarantined_ = 0;  ///< the owner's, after joining
  std::thread thread_;
};

}  // namespace strictsend::engine
