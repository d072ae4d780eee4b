// SPDX-License-Identifier: Apache-2.0
#include "engine/transport/tcp/step.hpp"

namespace strictsend::tcp {

namespace {

struct Step {
  Connection& state;
  Time now;

  [[nodiscard]] Outcome nothing() const {
    Outcome outcome;
    outcome.acked_to = state.acked_to();
    return outcome;
  }
  Outcome operator()(const SegmentIn& segment) const { return state.on_segment(segment, now); }
  Outcome operator()(TimerFired) const { return state.on_timer(now); }
  Outcome operator()(const Enqueue& request) const {
    state.enqueue(request.bytes, now);
    return nothing();
  }
  Outcome operator()(const Retract& request) const {
    state.retract(request.bytes, now);
    return nothing();
  }
  Outcome operator()(Finish) const {
    state.finish(now);
    return nothing();
  }
  Outcome operator()(const Consumed& request) const {
    state.consumed(request.bytes);
    return nothing();
  }
  Outcome operator()(Abort) const {
    Outcome outcome = nothing();
    const bool was_closed = state.state() == State::closed;
    outcome.reply = state.abort(now);
    outcome.closed = !was_closed;
    return outcome;
  }
  Outcome operator()(const PathMtu& message) const {
    state.on_path_mtu(message.mtu_bytes, message.quoted, now);
    return nothing();
  }
  Outcome operator()(const Sent& sent) const {
    state.sent(sent.segment, now);
    return nothing();
  }
};

}  // namespace

Outcome step(Connection& state, const Event& event, Time now) {
  return std::visit(Step{state, now}, event);
}

}  // namespace strictsend::tcp
