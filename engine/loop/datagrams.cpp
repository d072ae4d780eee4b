// SPDX-License-Identifier: Apache-2.0
// Flows of datagrams on a loop: their life, what they send at their turns, what a completed packet
// releases.
#include <cerrno>

#include "engine/loop/queue_loop.hpp"

namespace strictsend::engine {

void QueueLoop::begin(DatagramFlow& flow) {
  if (flow.phase != AnyFlow::Phase::free) return;  // with a splice that overtook the request
  flow.phase = AnyFlow::Phase::active;
  flow.finishing = false;
  flow.close_error = 0;
  flow.answer_wait.forget();
  flow.look_up_at = now_;
  flow.peer_mac = {};
  flow.sender.open(flow.rate_bytes_per_s);
  counters_.datagram_flows_open.add();
  if (stopped_) end_flow(flow, abort_error_);
}

void QueueLoop::carry_out(DatagramFlow& flow, std::uint32_t requests) {
  if ((requests & AnyFlow::request_recycle) != 0) {
    flow.phase = AnyFlow::Phase::free;
    flow.available.store(true, std::memory_order_release);
    return;
  }
  if ((requests & AnyFlow::request_open) != 0) begin(flow);
  if (flow.phase != AnyFlow::Phase::active) return;
  if ((requests & AnyFlow::request_abort) != 0) {
    end_flow(flow, ECONNABORTED);
    return;
  }
  if ((requests & AnyFlow::request_cancel) != 0) cancel_requested(flow);
  if ((requests & AnyFlow::request_close) != 0) flow.finishing = true;
  mark_ready(flow);  // its next hop may be known now
  end_if_finished(flow);
}

void QueueLoop::cancel_requested(DatagramFlow& flow) {
  for (udp::Batch* batch = flow.sender.front(); batch != nullptr;) {
    udp::Batch* const behind = batch->behind;
    auto& op = static_cast<SpliceOp&>(*batch);
    if (op.cancel_requested.load(std::memory_order_relaxed)) fail_splice(flow, op, ECANCELED);
    batch = behind;
  }
}

void QueueLoop::fail_splice(DatagramFlow& flow, SpliceOp& op, int error) {
  flow.sender.remove(op);
  if (flow.sender.front() == nullptr) flow.answer_wait.forget();
  finish_splice(op, error);
}

void QueueLoop::end_if_finished(DatagramFlow& flow) {
  if (flow.finishing && flow.sender.front() == nullptr) end_flow(flow, 0);
}

void QueueLoop::end_flow(DatagramFlow& flow, int error) {
  wheel_.clear(flow.timer);
  releases_.clear(flow.release);
  flow.phase = AnyFlow::Phase::dying;
  waiter_has_ended_ = waiter_has_ended_ || waits_for_pages();
  flow.close_error = error;
  ++flow.splices;  // so that the last splice of these does not close it before the loop ends
  while (udp::Batch* batch = flow.sender.front())
    fail_splice(flow, static_cast<SpliceOp&>(*batch), error);
  --flow.splices;
  close_if_released(flow);
}

QueueLoop::PumpResult QueueLoop::pump_datagrams(DatagramFlow& flow) {
  if (!flow.turn.begin()) return PumpResult::more;
  PumpResult result = PumpResult::more;
  while (flow.turn.goes_on() && pending_count_ < burst && result == PumpResult::more) {
    switch (hand_over_datagram(flow)) {
      case Handed::one:
        break;
      case Handed::none:
        result = PumpResult::idle;
        break;
      case Handed::retry_later:
        result = PumpResult::retry_later;
        break;
      case Handed::waits_for_pages:
        result = PumpResult::waits_for_pages;
        break;
      case Handed::blocked:
        result = PumpResult::blocked;
        break;
    }
  }
  if (result == PumpResult::idle || result == PumpResult::waits_for_pages) flow.turn.give_up();
  if (!flow.finishing || flow.sender.front() != nullptr) return result;
  end_flow(flow, 0);
  return PumpResult::ended;
}

QueueLoop::Handed QueueLoop::hand_over_datagram(DatagramFlow& flow) {
  if (flow.sender.front() == nullptr || !follow_next_hop(flow)) return Handed::none;
  const std::optional<udp::Slice> slice = flow.sender.next(now_);
  if (!slice) return Handed::none;
  if (!has_slots_for_datagrams()) return Handed::blocked;
  auto& op = static_cast<SpliceOp&>(*flow.sender.front());
  TxSlot& slot = *slots_.take();
  const BuildStatus status = datagram_builder_.build(slot, flow.header, op, *slice);
  if (status != BuildStatus::built) {
    slots_.give_back(slot);
    if (status == BuildStatus::busy) return Handed::retry_later;
    if (status == BuildStatus::absent) return Handed::waits_for_pages;
    fail_splice(flow, op, pagecache::snapshot_failure(*op.snapshot));
    return Handed::one;
  }
  worked_ = true;
  const auto payload_bytes = static_cast<std::uint32_t>(op.header.size()) + slice->bytes;
  flow.sender.sent(slot.datagram, payload_bytes, now_);
  flow.turn.sent(payload_bytes, 1);
  enqueue_pending(slot);
  account_sent(op, *slice);
  return Handed::one;
}

void QueueLoop::account_sent(SpliceOp& op, const udp::Slice& slice) {
  counters_.datagrams_sent.add();
  counters_.payload_bytes_sent.add(slice.bytes);
  if (config_.linear) counters_.payload_bytes_copied.add(slice.bytes);
  ++op.result.datagrams_sent;
  op.result.bytes_sent += slice.bytes;
  if (!slice.last) return;
  if (op.notify_sent) {
    op.sent_result = op.result;
    post(op, SpliceOp::event_sent);
  }
  finish_splice(op, 0);  // released once its packets are complete
}

void QueueLoop::datagram_completed(SpliceOp& op, TxSlot& slot, nic::TxStatus status) {
  op.outstanding.completed(slot.datagram);
  // What lies below no writer need preserve.
  if (op.snapshot != nullptr) {
    cache_.advance(*op.snapshot, op.file_offset + op.complete_to(), now_);
    set_frozen(op, op.file_bytes - op.complete_to());
  }
  if (status == nic::TxStatus::sent) return;
  counters_.datagrams_dropped.add();
  ++op.result.datagrams_dropped;
  // Not a drop like one on the way: the device was stopped with it.
  if (stopped_ && op.result.error == 0) op.result.error = abort_error_;
}

void QueueLoop::set_timer(DatagramFlow& flow) {
  const bool waits = flow.sender.front() != nullptr;
  const nic::NextHop hop = unpack_next_hop(flow.next_hop.load(std::memory_order_relaxed));
  const bool asks = waits && config_.host != nullptr && hop.state == nic::NextHop::State::asking;
  wheel_.set(flow.timer, asks ? flow.look_up_at : Time::never());
  const Time release_at = flow.sender.release_at();
  releases_.set(flow.release, release_at > now_ ? release_at : Time::never());
}

}  // namespace strictsend::engine
