// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cerrno>

#include "base/mutation.hpp"
#include "engine/loop/queue_loop.hpp"

namespace strictsend::engine {

namespace {

/// Not 0, and nobody else's, now or later.
std::uint64_t owner_word(const AnyFlow& flow) {
  const std::uint64_t kind = flow.kind == AnyFlow::Kind::datagrams ? 1 : 0;
  return std::uint64_t{flow.generation.load(std::memory_order_relaxed)} << 32 | kind << 31 |
         flow.slot;
}

}  // namespace

void QueueLoop::attach(SpliceOp& op) {
  AnyFlow& any = *op.flow;
  ++splices_live_;
  counters_.splices_attached.add();
  op.frozen_bytes = 0;
  set_frozen(op, op.file_bytes);
  const bool stale = any.generation.load(std::memory_order_acquire) != op.connection.generation;
  if (!stale && any.kind == AnyFlow::Kind::datagrams) begin(datagram_flow_of(any));
  if (stale || any.phase != AnyFlow::Phase::active || any.finishing) {
    op.flow = nullptr;  // not this connection's, whatever becomes of the slot
    int error = ENOTCONN;
    if (!stale && any.finishing) error = EPIPE;
    if (!stale && any.close_error != 0) error = any.close_error;
    finish_splice(op, error);
    return;
  }
  ++any.splices;
  if (op.snapshot != nullptr) {
    cache_.belongs_to(*op.snapshot, owner_word(any));
    if (any.splices == 1) cache_.turn_has_come(*op.snapshot, now_);
  }
  mark_ready(any);
  if (any.kind == AnyFlow::Kind::datagrams) {
    datagram_flow_of(any).sender.append(op);
    return;
  }
  Flow& flow = connection_of(any);
  flow.stream.append(op);
  flow.connection->enqueue(op.stream_bytes(), now_);
}

void QueueLoop::carry_out(AnyFlow& flow, std::uint32_t requests) {
  if (flow.kind == AnyFlow::Kind::connection)
    carry_out(connection_of(flow), requests);
  else
    carry_out(datagram_flow_of(flow), requests);
}

void QueueLoop::carry_out(Flow& flow, std::uint32_t requests) {
  if ((requests & Flow::request_recycle) != 0) {
    flow.phase = Flow::Phase::free;
    flow.connection.reset();
    flows_.recycle(flow);
    return;
  }
  if (flow.phase != Flow::Phase::active) return;
  if ((requests & Flow::request_abort) != 0) {
    abort_flow(flow, ECONNABORTED);
    return;
  }
  if ((requests & Flow::request_consumed) != 0) {
    const std::uint64_t taken = flow.received.taken();
    flow.connection->consumed(static_cast<std::uint32_t>(taken - flow.consumed_bytes));
    flow.consumed_bytes = taken;
  }
  if ((requests & Flow::request_cancel) != 0) cancel_requested(flow);
  if (flow.phase != Flow::Phase::active) return;
  if ((requests & Flow::request_close) != 0) {
    flow.finishing = true;
    flow.connection->finish(now_);
  }
  mark_ready(flow);
  set_timer(flow);
}

void QueueLoop::cancel_requested(Flow& flow) {
  for (SpliceOp* op = flow.stream.head(); op != nullptr;) {
    SpliceOp* next = op->stream_next;
    if (op->cancel_requested.load(std::memory_order_relaxed)) {
      // Once a byte of it is on the wire, or FIN is queued behind it, the stream cannot be mended.
      if (flow.connection->sent_to() > op->stream_begin || flow.finishing) {
        abort_flow(flow, ECANCELED);
        return;
      }
      flow.connection->retract(op->stream_bytes(), now_);
      flow.stream.remove_unsent(*op);
      finish_splice(*op, ECANCELED);
    }
    op = next;
  }
}

void QueueLoop::acknowledge(Flow& flow, std::uint64_t acked_to) {
  while (SpliceOp* op = flow.stream.head()) {
    if (op->stream_end() > acked_to) {
      const std::uint64_t file_begin = op->stream_begin + op->header.size();
      if (op->snapshot != nullptr && acked_to > file_begin) {
        const std::uint64_t acked = std::min(op->file_bytes, acked_to - file_begin);
        cache_.advance(*op->snapshot, op->file_offset + acked, now_);
        set_frozen(*op, op->file_bytes - acked);
      }
      op->result.bytes_acked = acked_to > op->stream_begin ? acked_to - op->stream_begin : 0;
      return;
    }
    op->result.bytes_sent = op->result.bytes_acked = op->stream_bytes();
    set_frozen(*op, 0);
    flow.stream.pop_front();
    finish_splice(*op, 0);
    const SpliceOp* next = flow.stream.head();
    if (next != nullptr && next->snapshot != nullptr) cache_.turn_has_come(*next->snapshot, now_);
  }
}

void QueueLoop::set_frozen(SpliceOp& op, std::uint64_t bytes) {
  counters_.frozen_bytes.set(counters_.frozen_bytes.get() - op.frozen_bytes + bytes);
  op.frozen_bytes = bytes;
}

void QueueLoop::finish_splice(SpliceOp& op, int error) {
  op.finished = true;
  op.result.error = error;
  if (mutation_active(Mutation::release_under_descriptor)) unpin_under_descriptors(op);
  if (op.descriptors_out == 0) release_splice(op);
}

void QueueLoop::release_splice(SpliceOp& op) {
  if (op.snapshot != nullptr) {
    op.result.pages_preserved = pagecache::snapshot_pages_preserved(*op.snapshot);
    cache_.release(op.snapshot);
    op.snapshot = nullptr;
  }
  set_frozen(op, 0);
  AnyFlow* flow = op.flow;
  --splices_live_;
  counters_.splices_released.add();
  post(op, SpliceOp::event_released);  // the slot is the poller's from here on
  if (flow != nullptr) {
    --flow->splices;
    close_if_released(*flow);
  }
}

void QueueLoop::count_ended(const tcp::SenderCounters& ended) {
  counters_.payload_bytes_retransmitted.add(ended.retransmitted_bytes);
  counters_.fast_recoveries.add(ended.fast_retransmits);
  counters_.retransmission_timeouts.add(ended.rto_fires);
  counters_.tail_loss_probes.add(ended.tail_loss_probes);
  counters_.reductions_undone.add(ended.undone);
  counters_.ecn_reductions.add(ended.ecn_reductions);
  counters_.mss_reductions.add(ended.mss_reductions);
}

void QueueLoop::end_flow(Flow& flow, int error) {
  count_ended(flow.connection->counters().sender);
  if (!flow.announced) --half_open_;
  const std::uint64_t sent_to = flow.connection->sent_to();
  wheel_.clear(flow.timer);
  releases_.clear(flow.release);
  flows_.remove(flow);
  flow.phase = Flow::Phase::dying;
  // One that waits for pages leaves that list before its slot is another's.
  waiter_has_ended_ = waiter_has_ended_ || waits_for_pages();
  flow.close_error = error;
  ++flow.splices;  // so that the last splice of these does not close it before the loop ends
  while (SpliceOp* op = flow.stream.head()) {
    flow.stream.pop_front();
    if (sent_to > op->stream_begin) {
      op->result.bytes_sent = std::min(sent_to - op->stream_begin, op->stream_bytes());
    }
    // A splice that was cut short says so, however politely the connection ended.
    finish_splice(*op, error != 0 ? error : ECONNRESET);
  }
  --flow.splices;
  close_if_released(flow);
}

void QueueLoop::abort_flow(Flow& flow, int error) {
  if (const std::optional<tcp::SegmentOut> reset = flow.connection->abort(now_)) {
    send_control(flow.header, *reset);
  }
  end_flow(flow, error);
}

void QueueLoop::close_if_released(AnyFlow& flow) {
  if (flow.phase != AnyFlow::Phase::dying || flow.splices > 0) return;
  flow.phase = AnyFlow::Phase::closed;
  const bool connection = flow.kind == AnyFlow::Kind::connection;
  if (connection && !connection_of(flow).announced) {
    carry_out(flow, AnyFlow::request_recycle);  // no application thread has heard of it
    return;
  }
  Counter& open = connection ? counters_.connections_open : counters_.datagram_flows_open;
  open.set(open.get() - 1);
  post(flow, AnyFlow::event_closed);  // its slot comes back by request_recycle
}

void QueueLoop::mark_ready(AnyFlow& flow) {
  if (flow.ready) return;
  flow.ready = true;
  ready_.push_back(flow);
}

void QueueLoop::set_timer(Flow& flow) {
  wheel_.set(flow.timer, flow.connection->protocol_deadline());
  releases_.set(flow.release, flow.connection->release_at());
}

void QueueLoop::post(AnyFlow& flow, AnyFlow::EventBit bit) {
  notifier_.post(flow, bit);
  posted_ = true;
}

void QueueLoop::post(SpliceOp& op, SpliceOp::EventBit bit) {
  notifier_.post(op, bit);
  posted_ = true;
}

}  // namespace strictsend::engine
