// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace strictsend {

/// A first-come-first-served lock (a ticket lock that sleeps): whoever asks first is served first.
///
/// It stands where std::mutex would starve a waiter: two threads that take and release a mutex back
/// to back keep it from a third for tens of milliseconds. Satisfies Lockable's
/// lock/unlock/try_lock. Never taken by an engine thread.
///
/// Shared words: `next_ticket_` is incremented by every caller of `lock`; `serving_` is written
/// only by the holder, release in `unlock`, paired with the acquire in `lock`.
class FairLock {
 public:
  FairLock() = default;
  FairLock(const FairLock&) = delete;
  FairLock& operator=(const FairLock&) = delete;
  ~FairLock() = default;

  void lock() {
    const std::uint32_t ticket = next_ticket_.fetch_add(1, std::memory_order_relaxed);
    for (unsigned spins = 0;; ++spins) {
      const std::uint32_t serving = serving_.load(std::memory_order_acquire);
      if (serving == ticket) return;
      // Only the next in line spins: further back the wait is longer than a sleep costs.
      if (ticket - serving == 1 && spins < spins_before_sleep) {
        relax();
        continue;
      }
      serving_.wait(serving, std::memory_order_acquire);
    }
  }

  [[nodiscard]] bool try_lock() {
    std::uint32_t serving = serving_.load(std::memory_order_acquire);
    return next_ticket_.compare_exchange_strong(serving, serving + 1, std::memory_order_acquire,
                                                std::memory_order_relaxed);
  }

  void unlock() {
    serving_.store(serving_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    serving_.notify_all();
  }

 private:
  static constexpr unsigned spins_before_sleep = 200;
  static void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  std::atomic<std::uint32_t> next_ticket_{0};
  std::atomic<std::uint32_t> serving_{0};
};

}  // namespace strictsend
