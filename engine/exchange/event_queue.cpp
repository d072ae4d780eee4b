// SPDX-License-Identifier: Apache-2.0
#include "engine/exchange/event_queue.hpp"

namespace strictsend::engine {
namespace {

/// `id`: of whichever kind of flow it is.
void set_flow(Event& event, AnyFlow::Kind kind, const ConnectionId& id) {
  if (kind == AnyFlow::Kind::connection)
    event.connection = id;
  else
    event.datagram_flow = {id.slot, id.generation};
}

Event event_of(Event::Kind kind, const AnyFlow& flow) {
  Event event;
  event.kind = kind;
  set_flow(event, flow.kind, {flow.slot, flow.generation.load(std::memory_order_relaxed)});
  event.peer_address = flow.key.peer_address;
  event.peer_port = flow.key.peer_port;
  return event;
}

}  // namespace

SpliceOp* EventQueue::next_splice_event(Event& event) {
  SpliceOp& op = *splices_;
  if (op.undelivered == 0) {
    SpliceOp* next = op.event_next;  // before the bits are taken: then it may be posted again
    op.undelivered = op.events.exchange(0, std::memory_order_acq_rel);
    splices_next_ = next;
  }
  event = Event{};
  set_flow(event, op.kind, op.connection);
  event.user_data = op.user_data;
  if ((op.undelivered & SpliceOp::event_sent) != 0) {
    op.undelivered &= ~SpliceOp::event_sent;
    event.kind = Event::Kind::sent;
    event.result = op.sent_result;
    if (op.undelivered == 0) splices_ = splices_next_;
    return nullptr;
  }
  op.undelivered = 0;
  event.kind = Event::Kind::released;
  event.result = op.result;
  splices_ = splices_next_;
  return &op;
}

bool EventQueue::next_flow_event(Event& event) {
  AnyFlow& flow = *flows_;
  if (flow.undelivered == 0) {
    flows_next_ = flow.event_next;
    flow.undelivered = flow.events.exchange(0, std::memory_order_acq_rel);
  }
  const std::uint32_t bits = flow.undelivered;
  if ((bits & AnyFlow::event_accepted) != 0) {
    flow.undelivered &= ~AnyFlow::event_accepted;
    event = event_of(Event::Kind::accepted, flow);
  } else if ((bits & AnyFlow::event_readable) != 0) {
    flow.undelivered &= ~AnyFlow::event_readable;
    event = event_of(Event::Kind::readable, flow);
  } else if ((bits & AnyFlow::event_peer_closed) != 0) {
    flow.undelivered &= ~AnyFlow::event_peer_closed;
    event = event_of(Event::Kind::peer_closed, flow);
  } else {
    flow.undelivered = 0;
    flows_ = flows_next_;
    flow.event_next = closing_;  // nothing is posted on a flow after `closed`
    closing_ = &flow;
    return false;
  }
  if (flow.undelivered == 0) flows_ = flows_next_;
  return true;
}

Event EventQueue::closed_event(const AnyFlow& flow) {
  Event event = event_of(Event::Kind::closed, flow);
  event.result.error = flow.close_error;
  return event;
}

bool EventQueue::tell_device_lost(Event& event) {
  const int error = device_lost_told_ ? 0 : notifier_.device_lost();
  if (error == 0) return false;
  device_lost_told_ = true;
  event = Event{};
  event.kind = Event::Kind::device_lost;
  event.result.error = error;
  return true;
}

bool EventQueue::refill() {
  notifier_.take(flows_, splices_);
  closed_ = closing_;
  closing_ = nullptr;
  return flows_ != nullptr || splices_ != nullptr || closed_ != nullptr;
}

}  // namespace strictsend::engine
