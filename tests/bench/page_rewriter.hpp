// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <thread>

#include "base/clock.hpp"

namespace strictsend::bench {

/// A thread that rewrites random pages of a mapping at a steady rate, one 8-byte store a page, from
/// its making until `stop`. It keeps to its schedule: where stores take long it catches up, and
/// where it cannot, `pages` tells. A rate of 0 starts no thread.
class PageRewriter {
 public:
  PageRewriter(std::span<std::byte> mapping, double pages_per_second, std::uint64_t seed);
  PageRewriter(const PageRewriter&) = delete;
  PageRewriter& operator=(const PageRewriter&) = delete;
  ~PageRewriter() { stop(); }

  void stop();
  /// Written until now, the same page counted each time.
  [[nodiscard]] std::uint64_t pages() const { return pages_.load(std::memory_order_relaxed); }

 private:
  void run();

  const std::span<std::byte> mapping_;
  const double pages_per_second_;
  const std::uint64_t seed_;
  std::atomic<std::uint64_t> pages_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace strictsend::bench
