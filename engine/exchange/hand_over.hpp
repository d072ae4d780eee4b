// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "engine/exchange/wake_up.hpp"

namespace strictsend::engine {

/// Received segments on their way from one engine thread to another, which may know their
/// connections: a bounded ring of copies with one producer and one consumer. Takes its memory when
/// it is made; neither side waits for the other, and what finds no room is lost like any packet.
///
/// `tail_` is the producer's, `head_` the consumer's. Each is stored after the slot was written or
/// read (release or stronger) and loaded by the other side before it touches that slot (acquire or
/// stronger). `tail_` is sequentially consistent, as `WakeUp` asks for.
class HandOver {  // NOLINT(clang-analyzer-optin.performance.Padding): lines of their own are meant
 public:
  /// A view of a slot, valid until `pop`.
  struct Segment {
    std::span<const std::byte> frame;  ///< from the Ethernet header on; its checksums were right
    std::uint32_t origin = 0;          ///< the loop on whose queue it arrived
  };

  /// Room for `segments_max` (a power of two) of at most `frame_bytes_max`.
  HandOver(std::uint32_t segments_max, std::uint32_t frame_bytes_max, WakeUp& consumer);

  // The producer.
  /// Copies a frame; false: there is no room, or it is too long.
  [[nodiscard]] bool push(std::span<const std::byte> frame, std::uint32_t origin);
  /// After one or several pushes.
  void wake_consumer() { consumer_.wake(); }

  // The consumer.
  /// The oldest segment; false: there is none.
  [[nodiscard]] bool front(Segment& segment) const;
  void pop();
  /// For the last look before sleeping.
  [[nodiscard]] bool empty() const {
    return tail_.load(std::memory_order_seq_cst) == head_.load(std::memory_order_relaxed);
  }

  [[nodiscard]] std::uint64_t memory_bytes() const {
    return std::uint64_t{segments_max_} * (sizeof(Slot) + frame_bytes_max_);
  }

 private:
  struct Slot {
    std::uint32_t length_bytes = 0;
    std::uint32_t origin = 0;
  };
  static constexpr std::size_t cache_line_bytes = 64;

  [[nodiscard]] std::byte* frame_at(std::uint32_t position) const {
    return frames_.get() + std::size_t{position % segments_max_} * frame_bytes_max_;
  }

  const std::uint32_t segments_max_;
  const std::uint32_t frame_bytes_max_;
  WakeUp& consumer_;
  std::unique_ptr<Slot[]> slots_;
  std::unique_ptr<std::byte[]> frames_;
  // Positions that count up for ever and wrap. On lines of their own: they have different writers.
  alignas(cache_line_bytes) std::atomic<std::uint32_t> tail_ = 0;
  alignas(cache_line_bytes) std::atomic<std::uint32_t> head_ = 0;
};

}  // namespace strictsend::engine
