// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/eventfd.h>

#include <atomic>
#include <utility>

#include "base/unique_fd.hpp"

namespace strictsend::engine {

/// How a sleeping engine thread is woken: an eventfd that it sleeps on, written only when it may
/// sleep.
///
///     sleeper                              waker
///     sleeping = true   (seq_cst)          something is pushed (seq_cst)
///     is nothing there? (seq_cst)          is it sleeping?     (seq_cst)
///
/// Either the sleeper sees what was pushed, or the waker sees that it sleeps. So whatever is pushed
/// and looked for here has to be stored and loaded sequentially consistently.
class WakeUp {
 public:
  explicit WakeUp(UniqueFd event_fd) : event_fd_(std::move(event_fd)) {}

  // Any thread.
  /// After pushing something; a system call only if the thread sleeps.
  void wake() {
    if (sleeping_.load(std::memory_order_seq_cst)) wake_surely();
  }
  void wake_surely() { ::eventfd_write(event_fd_.get(), 1); }

  // The sleeping thread.
  /// Before the last look at everything that others push.
  void prepare() { sleeping_.store(true, std::memory_order_seq_cst); }
  void done() { sleeping_.store(false, std::memory_order_relaxed); }
  /// Readable once woken, until `clear`.
  [[nodiscard]] int fd() const { return event_fd_.get(); }
  void clear() {
    eventfd_t count = 0;
    ::eventfd_read(event_fd_.get(), &count);
  }

 private:
  UniqueFd event_fd_;
  std::atomic<bool> sleeping_ = false;  ///< written by the sleeping thread, read by wakers
};

}  // namespace strictsend::engine
