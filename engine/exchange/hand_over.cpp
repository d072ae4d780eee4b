// SPDX-License-Identifier: Apache-2.0
#include "engine/exchange/hand_over.hpp"

#include <bit>
#include <cstring>

#include "base/assert.hpp"

namespace strictsend::engine {

HandOver::HandOver(std::uint32_t segments_max, std::uint32_t frame_bytes_max, WakeUp& consumer)
    : segments_max_(segments_max),
      frame_bytes_max_(frame_bytes_max),
      consumer_(consumer),
      slots_(std::make_unique<Slot[]>(segments_max)),
      frames_(std::make_unique<std::byte[]>(std::size_t{segments_max} * frame_bytes_max)) {
  STRICTSEND_ASSERT(std::has_single_bit(segments_max) && frame_bytes_max > 0);
}

bool HandOver::push(std::span<const std::byte> frame, std::uint32_t origin) {
  const std::uint32_t tail = tail_.load(std::memory_order_relaxed);
  if (tail - head_.load(std::memory_order_acquire) == segments_max_) return false;
  if (frame.size() > frame_bytes_max_) return false;
  std::memcpy(frame_at(tail), frame.data(), frame.size());
  slots_[tail % segments_max_] = {static_cast<std::uint32_t>(frame.size()), origin};
  tail_.store(tail + 1, std::memory_order_seq_cst);
  return true;
}

bool HandOver::front(Segment& segment) const {
  const std::uint32_t head = head_.load(std::memory_order_relaxed);
  if (tail_.load(std::memory_order_acquire) == head) return false;
  const Slot& slot = slots_[head % segments_max_];
  segment = {{frame_at(head), slot.length_bytes}, slot.origin};
  return true;
}

void HandOver::pop() {
  head_.store(head_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

}  // namespace strictsend::engine
