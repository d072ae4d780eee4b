// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>

#include "base/mutation.hpp"
#include "engine/loop/queue_loop.hpp"

namespace strictsend::engine {

void QueueLoop::pump_flows() {
  if (stopped_) return;
  // Answers to what was received may fill a burst by themselves, each turn: they leave first.
  if (pending_count_ >= burst) transmit_pending();
  if (has_slots_for_datagrams()) {
    while (AnyFlow* flow = short_of_slots_.pop_front())
      ready_.push_back(*flow);
  }
  if (pages_have_come()) {
    pages_came_ = cache_.pages_came();
    waiter_has_ended_ = false;
    while (AnyFlow* flow = waiting_for_pages_.pop_front())
      ready_.push_back(*flow);
  }
  // A flow whose page the guard is changing waits for the next turn, not for this one to end.
  FlowQueue<&AnyFlow::ready_next> retry_later;
  while (pending_count_ < burst) {
    AnyFlow* flow = ready_.pop_front();
    if (flow == nullptr) break;
    if (flow->phase != AnyFlow::Phase::active) {
      flow->ready = false;
      continue;
    }
    const bool connection = flow->kind == AnyFlow::Kind::connection;
    const PumpResult result =
        connection ? pump_flow(connection_of(*flow)) : pump_datagrams(datagram_flow_of(*flow));
    // A turn that was only interrupted goes on.
    if (result == PumpResult::more && flow->turn.goes_on()) ready_.push_front(*flow);
    if (result == PumpResult::more && !flow->turn.goes_on()) ready_.push_back(*flow);
    if (result == PumpResult::blocked && connection) ready_.push_front(*flow);
    if (result == PumpResult::blocked && !connection) short_of_slots_.push_back(*flow);
    if (result == PumpResult::retry_later) retry_later.push_back(*flow);
    if (result == PumpResult::waits_for_pages) waiting_for_pages_.push_back(*flow);
    if (result == PumpResult::idle || result == PumpResult::ended) flow->ready = false;
    if (result != PumpResult::ended && connection) set_timer(connection_of(*flow));
    if (result != PumpResult::ended && !connection) set_timer(datagram_flow_of(*flow));
    // To a connection every slot is open: there is none.
    if (result == PumpResult::blocked && connection) break;
    if (pending_count_ >= burst) transmit_pending();
  }
  while (AnyFlow* flow = retry_later.pop_front())
    ready_.push_back(*flow);
}

QueueLoop::PumpResult QueueLoop::pump_flow(Flow& flow) {
  if (!flow.turn.begin()) return PumpResult::more;
  while (flow.turn.goes_on() && pending_count_ < burst) {
    std::optional<tcp::SegmentOut> segment = flow.connection->next_segment(now_);
    if (!segment) {
      flow.turn.give_up();
      return PumpResult::idle;
    }
    TxSlot* slot = slots_.take();
    if (slot == nullptr) return PumpResult::blocked;
    const SegmentBuilder::Status status = builder_.build(*slot, flow, *segment);
    if (status != SegmentBuilder::Status::built) {
      slots_.give_back(*slot);
      if (status == SegmentBuilder::Status::busy) return PumpResult::retry_later;
      if (status == SegmentBuilder::Status::absent) {
        flow.turn.give_up();
        return PumpResult::waits_for_pages;
      }
      abort_flow(flow, failure_of(flow, *segment));
      return PumpResult::ended;
    }
    worked_ = true;
    flow.connection->sent(*segment, now_);
    account_sent(flow, *segment);
    flow.turn.sent(segment->payload_bytes, segment->packets());
    counters_.segments_sent.add();
    enqueue_pending(*slot);
  }
  return PumpResult::more;
}

/// Why a segment cannot be sent any more.
int QueueLoop::failure_of(Flow& flow, const tcp::SegmentOut& segment) const {
  const std::uint64_t end = segment.stream_offset + segment.payload_bytes;
  for (const SpliceOp* op = flow.stream.find(segment.stream_offset);
       op != nullptr && op->stream_begin < end; op = op->stream_next) {
    const int error = op->snapshot != nullptr ? pagecache::snapshot_failure(*op->snapshot) : 0;
    if (error != 0) return error;
  }
  return ENOBUFS;
}

void QueueLoop::account_sent(Flow& flow, const tcp::SegmentOut& segment) {
  if (segment.retransmission) counters_.segments_retransmitted.add();
  if (segment.payload_bytes == 0) return;
  counters_.payload_bytes_sent.add(segment.payload_bytes);
  // What a segment is to others is what is on the wire.
  counters_.segments_sent.add(segment.packets() - 1);
  if (config_.linear) counters_.payload_bytes_copied.add(segment.payload_bytes);
  // A retransmission too may reach beyond what was sent before: a probe's segment does.
  const std::uint64_t sent_to = flow.connection->sent_to();
  SpliceOp* op = flow.stream.find(segment.stream_offset);
  while (op != nullptr && op->stream_end() <= sent_to) {
    if (op->notify_sent && !op->sent_posted) {
      op->sent_posted = true;
      op->sent_result = op->result;
      op->sent_result.bytes_sent = op->stream_bytes();
      post(*op, SpliceOp::event_sent);
    }
    op = op->stream_next;
  }
}

void QueueLoop::send_control(const wire::TcpHeaderTemplate& header,
                             const tcp::SegmentOut& segment) {
  // Control segments are answers that the peer's next segment asks for again: with no slot free
  // they may be lost like any packet.
  TxSlot* slot = slots_.take();
  if (slot == nullptr) return;
  builder_.build_control(*slot, header, segment);
  counters_.segments_sent.add();
  enqueue_pending(*slot);
}

void QueueLoop::enqueue_pending(TxSlot& slot) {
  for (std::uint8_t i = 0; i < slot.splice_count; ++i)
    ++slot.splices[i]->descriptors_out;
  append_pending(slot);
}

void QueueLoop::append_pending(TxSlot& slot) {
  slot.under_descriptor = true;
  if (mutation_active(Mutation::pin_after_doorbell)) unpin_frames(slot);
  const auto size = static_cast<std::uint32_t>(pending_.size());
  pending_[(pending_begin_ + pending_count_) % size] = slot.index;
  ++pending_count_;
}

void QueueLoop::transmit_pending() {
  if (stopped_) return;
  const auto size = static_cast<std::uint32_t>(pending_.size());
  std::array<nic::TxPacket, burst> packets;
  bool handed = false;
  const std::uint32_t first = pending_begin_;
  while (pending_count_ > 0) {
    const std::size_t count = std::min<std::size_t>(pending_count_, burst);
    for (std::uint32_t i = 0; i < count; ++i) {
      packets[i] = slots_[pending_[(pending_begin_ + i) % size]].packet();
    }
    const std::size_t taken = queue_.transmit(std::span(packets).first(count));
    if (mutation_active(Mutation::unpin_at_transmit)) unpin_pending(taken);
    if (mutation_active(Mutation::release_datagrams_at_transmit)) release_pending_datagrams(taken);
    pending_begin_ = (pending_begin_ + static_cast<std::uint32_t>(taken)) % size;
    pending_count_ -= static_cast<std::uint32_t>(taken);
    if (outstanding_ == 0 && taken > 0) completion_seen_ = now_;
    outstanding_ += static_cast<std::uint32_t>(taken);
    handed = handed || taken > 0;
    if (taken < count) break;
  }
  worked_ = worked_ || handed;
  // While descriptors are out the kernel may need another kick to get on with them. And a kick
  // alone tells whether a device that failed, or that takes nothing, is back or gone.
  if (handed || outstanding_ > 0 || pending_count_ > 0 || kick_error_ != 0)
    kick_error_ = queue_.kick();
  if (mutation_active(Mutation::pin_after_doorbell)) pin_handed_over(first, pending_begin_);
}

void QueueLoop::unpin_frames(const TxSlot& slot) {
  for (std::uint8_t i = 0; i < slot.frame_count; ++i)
    cache_.unpin(slot.frames[i]);
}

void QueueLoop::complete(TxSlot& slot, nic::TxStatus status) {
  unpin_frames(slot);
  give_up_splices(slot, status);
  slots_.give_back(slot);
}

void QueueLoop::give_up_splices(TxSlot& slot, nic::TxStatus status) {
  for (std::uint8_t i = 0; i < slot.splice_count; ++i) {
    SpliceOp& op = *slot.splices[i];
    --op.descriptors_out;
    if (op.kind == AnyFlow::Kind::datagrams) datagram_completed(op, slot, status);
    if (mutation_active(Mutation::release_at_tx_completion)) give_up_sent(op);
    if (op.finished && op.descriptors_out == 0) release_splice(op);
  }
  slot.splice_count = 0;
}

void QueueLoop::give_up_sent(SpliceOp& op) {
  const bool all_sent = op.flow != nullptr && op.kind == AnyFlow::Kind::connection &&
                        op.flow->phase == AnyFlow::Phase::active &&
                        connection_of(*op.flow).connection->sent_to() >= op.stream_end();
  if (!all_sent || op.finished || op.descriptors_out > 0) return;
  cache_.advance(*op.snapshot, op.file_offset + op.file_bytes, now_);
}

void QueueLoop::release_pending_datagrams(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    TxSlot& slot = slots_[pending_[(pending_begin_ + i) % pending_.size()]];
    if (slot.splice_count == 0 || slot.splices[0]->kind != AnyFlow::Kind::datagrams) continue;
    unpin_frames(slot);
    slot.frame_count = 0;
    give_up_splices(slot, nic::TxStatus::sent);
  }
}

void QueueLoop::unpin_pending(std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    TxSlot& slot = slots_[pending_[(pending_begin_ + i) % pending_.size()]];
    unpin_frames(slot);
    slot.frame_count = 0;
  }
}

void QueueLoop::pin_handed_over(std::uint32_t begin, std::uint32_t end) {
  for (auto i = begin; i != end; i = (i + 1) % static_cast<std::uint32_t>(pending_.size())) {
    const TxSlot& slot = slots_[pending_[i]];
    for (std::uint8_t f = 0; f < slot.frame_count; ++f)
      cache_.pin_blindly(slot.frames[f]);
  }
}

void QueueLoop::unpin_under_descriptors(const SpliceOp& op) {
  for (std::uint32_t i = 0; i < slots_.size(); ++i) {
    TxSlot& slot = slots_[i];
    const auto end = slot.splices.begin() + slot.splice_count;
    if (!slot.under_descriptor || std::find(slot.splices.begin(), end, &op) == end) continue;
    unpin_frames(slot);
    slot.frame_count = 0;
  }
}

}  // namespace strictsend::engine
