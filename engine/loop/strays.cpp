// SPDX-License-Identifier: Apache-2.0
#include "engine/loop/queue_loop.hpp"

// Segments that arrive on another queue than their connection's: what Linux does to a virtual NIC
// when a socket gets a new hash. Each loop asks the next one, and the last answer is the first
// loop's own.

namespace strictsend::engine {

void QueueLoop::take_handed_over() {
  if (inbox_ == nullptr) return;
  HandOver::Segment segment;
  for (std::size_t i = 0; i < receive_bursts * burst && inbox_->front(segment); ++i) {
    worked_ = true;
    receive_packet({segment.frame, nic::RxChecksum::good}, segment.origin);
    inbox_->pop();
  }
}

bool QueueLoop::may_be_of_another_loop(const Flow* flow, const tcp::SegmentIn& segment,
                                       std::optional<std::uint32_t> handed_from) const {
  if (outbox_ == nullptr) return false;
  if (handed_from == config_.number) return false;  // it has been with all of them
  return flow == nullptr || !flow->connection->may_be_of(segment);
}

void QueueLoop::hand_over(std::span<const std::byte> frame, std::uint32_t origin) {
  if (!outbox_->push(frame, origin)) {
    counters_.segments_hand_over_dropped.add();
    return;
  }
  counters_.segments_handed_over.add();
  handed_over_ = true;
}

}  // namespace strictsend::engine
