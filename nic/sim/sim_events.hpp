// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/assert.hpp"
#include "base/clock.hpp"

namespace strictsend::nic {

/// Something that will happen in virtual time. Of two at one instant the one scheduled first comes
/// first, so that a run is the same every time.
struct SimEvent {
  enum class Kind : std::uint8_t { dma_read, completion, at_peer, at_port };
  Time at;
  std::uint64_t order = 0;
  Kind kind = Kind::dma_read;
  std::uint32_t index = 0;  ///< of the descriptor or the frame
};

/// The agenda: a heap whose memory is taken at the start. Not synchronised.
class SimEvents {
 public:
  explicit SimEvents(std::size_t capacity) { heap_.reserve(capacity); }

  void schedule(Time at, SimEvent::Kind kind, std::uint32_t index) {
    STRICTSEND_ASSERT(heap_.size() < heap_.capacity());
    heap_.push_back({.at = at, .order = next_order_++, .kind = kind, .index = index});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
  [[nodiscard]] Time next_at() const { return heap_.empty() ? Time::never() : heap_.front().at; }
  SimEvent pop() {
    std::pop_heap(heap_.begin(), heap_.end(), later);
    const SimEvent event = heap_.back();
    heap_.pop_back();
    return event;
  }

 private:
  static bool later(const SimEvent& a, const SimEvent& b) {
    return a.at != b.at ? a.at > b.at : a.order > b.order;
  }

  std::vector<SimEvent> heap_;
  std::uint64_t next_order_ = 0;
};

}  // namespace strictsend::nic
