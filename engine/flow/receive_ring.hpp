// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "base/assert.hpp"

namespace strictsend::engine {

/// A connection's received bytes on their way from the engine thread to the application: a ring of
/// a power-of-two size over memory that is owned by the flow table.
///
/// `head_` (bytes ever put in): written by the engine thread, release; read by the application,
/// acquire. `tail_` (bytes ever taken out): written by the application, release; read by the
/// engine, acquire.
class ReceiveRing {
 public:
  void attach(std::span<std::byte> memory) { memory_ = memory; }

  /// Engine thread, while no application thread knows the connection.
  void reset() {
    head_.store(0, std::memory_order_relaxed);
    tail_.store(0, std::memory_order_relaxed);
  }

  /// Engine thread: `bytes` must fit; the window that TCP offers sees to that.
  void put(std::span<const std::byte> bytes) {
    if (bytes.empty()) return;  // memcpy takes no null pointer
    const std::uint64_t head = head_.load(std::memory_order_relaxed);
    STRICTSEND_ASSERT(bytes.size() <=
                      memory_.size() - (head - tail_.load(std::memory_order_acquire)));
    const std::size_t at = head & (memory_.size() - 1);
    const std::size_t first = std::min(bytes.size(), memory_.size() - at);
    std::memcpy(memory_.data() + at, bytes.data(), first);
    if (first < bytes.size()) {
      std::memcpy(memory_.data(), bytes.data() + first, bytes.size() - first);
    }
    head_.store(head + bytes.size(), std::memory_order_release);
  }

  /// Application thread: copies out what is there; returns the bytes copied.
  std::size_t take(std::span<std::byte> into) {
    const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
    const std::uint64_t waiting = head_.load(std::memory_order_acquire) - tail;
    const std::size_t count = std::min<std::uint64_t>(into.size(), waiting);
    const std::size_t at = tail & (memory_.size() - 1);
    const std::size_t first = std::min(count, memory_.size() - at);
    if (first > 0) std::memcpy(into.data(), memory_.data() + at, first);
    if (first < count) std::memcpy(into.data() + first, memory_.data(), count - first);
    tail_.store(tail + count, std::memory_order_release);
    return count;
  }

  /// Bytes that `take` would find; application thread.
  [[nodiscard]] std::size_t waiting() const {
    return head_.load(std::memory_order_acquire) - tail_.load(std::memory_order_relaxed);
  }

  /// Bytes ever taken; engine thread.
  [[nodiscard]] std::uint64_t taken() const { return tail_.load(std::memory_order_acquire); }

 private:
  std::span<std::byte> memory_;
  std::atomic<std::uint64_t> head_ = 0;
  std::atomic<std::uint64_t> tail_ = 0;
};

}  // namespace strictsend::engine
