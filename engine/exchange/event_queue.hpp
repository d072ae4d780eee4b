// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

#include "engine/exchange/notifier.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::engine {

/// Turns posted bits into the application's events, in an order that makes sense: for a connection
/// `accepted` first, `closed` last, and before it the events of all splices that were attached to
/// it. (One submitted after its end was never attached.) The polling thread's.
class EventQueue {
 public:
  explicit EventQueue(Notifier& notifier) : notifier_(notifier) {}

  /// Fills `events`, returns how many. Splices whose last event was handed out go to
  /// done(SpliceOp&), flows to gone(AnyFlow&): their slots are then nobody's.
  template <class Done, class Gone>
  std::size_t take(std::span<Event> events, Done&& done, Gone&& gone) {
    std::size_t count = 0;
    while (count < events.size()) {
      if (splices_ != nullptr) {
        if (SpliceOp* finished = next_splice_event(events[count++])) done(*finished);
      } else if (flows_ != nullptr) {
        count += next_flow_event(events[count]) ? 1U : 0U;
      } else if (closed_ != nullptr) {
        AnyFlow& flow = *closed_;
        closed_ = flow.event_next;
        events[count++] = closed_event(flow);
        gone(flow);
      } else if (const bool lost = notifier_.tells_device_lost(); !refill()) {
        // Asked before the refill, so that all that the loss has brought about has been handed out.
        if (lost && tell_device_lost(events[count])) ++count;
        break;
      }
    }
    return count;
  }

 private:
  /// The next event of the splices at hand; returns the splice if it was its last.
  SpliceOp* next_splice_event(Event& event);
  /// The next event of the flows at hand; false if there was none after all (a `closed` waits).
  bool next_flow_event(Event& event);
  static Event closed_event(const AnyFlow& flow);
  bool refill();
  /// The event of a device that was lost; false: it is there, or that was told.
  bool tell_device_lost(Event& event);

  Notifier& notifier_;
  // Taken and not yet handed out: the one whose bits are being handed out, and those behind it
  // (a node's own link is the producers' again once its bits are taken).
  SpliceOp* splices_ = nullptr;
  SpliceOp* splices_next_ = nullptr;
  AnyFlow* flows_ = nullptr;
  AnyFlow* flows_next_ = nullptr;
  // Flows whose `closed` was seen. Their splices' last events were posted before that bit, so they
  // are in the next batch at the latest: a flow waits for one more refill, then for its splices.
  AnyFlow* closing_ = nullptr;
  AnyFlow* closed_ = nullptr;
  bool device_lost_told_ = false;
};

}  // namespace strictsend::engine
