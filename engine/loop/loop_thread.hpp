// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "engine/loop/queue_loop.hpp"

namespace strictsend::engine {

/// An engine thread: drives one QueueLoop in real time. Polls while there is work, spins for a
/// while without, then sleeps until a packet arrives, a timer is due or an application thread wakes
/// it.
///
/// Owned by the engine and joined by `stop` or the destructor.
class LoopThread {
 public:
  static Result<std::unique_ptr<LoopThread>> start(std::unique_ptr<QueueLoop> loop,
                                                   nic::Queue& queue, Duration spin);
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;
  ~LoopThread();

  [[nodiscard]] QueueLoop& loop() { return *loop_; }
  [[nodiscard]] const QueueLoop& loop() const { return *loop_; }

  /// After pushing to the loop's intakes; a system call only if the thread sleeps. Any thread.
  void wake();
  /// Has every connection finish what it has queued, and takes no new ones.
  void drain();
  /// Whether no splice is left; meaningful once draining.
  [[nodiscard]] bool quiet() const { return quiet_.load(std::memory_order_acquire); }
  /// Resets what is left, stops the device and joins. Idempotent; one thread.
  void stop();
  /// After `stop`: packets whose frames stay pinned, because the device did not let go of them.
  [[nodiscard]] std::uint32_t packets_quarantined() const { return packets_quarantined_; }

 private:
  enum class Phase : std::uint8_t { running, draining, stopping };

  LoopThread(std::unique_ptr<QueueLoop> loop, nic::Queue& queue, Duration spin, UniqueFd wake_fd);
  void run();
  void shut_down();
  void sleep_until(Time deadline);

  std::unique_ptr<QueueLoop> loop_;
  nic::Queue& queue_;
  const Duration spin_;
  UniqueFd wake_fd_;
  std::atomic<Phase> phase_ =
      Phase::running;                ///< written by the engine's owner, read by the thread
  std::atomic<bool> quiet_ = false;  ///< written by the thread
  /// Written by the thread, read by wakers. Its store and the wakers' pushes are sequentially
  /// consistent: either the thread sees the push, or the waker sees that it sleeps.
  std::atomic<bool> sleeping_ = false;
  std::uint32_t packets_quarantined_ = 0;  ///< the owner's, after joining
  std::thread thread_;
};

}  // namespace strictsend::engine
