// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "engine/exchange/intake.hpp"
#include "engine/exchange/splice_op.hpp"
#include "engine/flow/any_flow.hpp"

namespace strictsend::engine {

/// Events on their way from the engine threads to the thread that polls: flows and splices with
/// event bits set, and an eventfd that is written only when the poller may be asleep on it.
///
/// A slot with bits set is in its intake exactly once, so nothing can overflow or get lost, however
/// late the application polls.
class Notifier {
 public:
  explicit Notifier(UniqueFd event_fd) : event_fd_(std::move(event_fd)) {}

  // Engine threads.
  void post(SpliceOp& op, SpliceOp::EventBit bit) {
    if (op.events.fetch_or(bit, std::memory_order_acq_rel) == 0) splices_.push(&op);
  }
  void post(AnyFlow& flow, AnyFlow::EventBit bit) {
    if (flow.events.fetch_or(bit, std::memory_order_acq_rel) == 0) flows_.push(&flow);
  }
  /// Only the first of them counts: ENODEV or ETIMEDOUT. False: somebody was first.
  bool lose_device(int error) {
    int none = 0;
    return device_lost_.compare_exchange_strong(none, error, std::memory_order_relaxed);
  }
  /// By whoever was first, once all that the loss has brought about there is posted; before
  /// `publish`.
  void tell_device_lost() { tells_device_lost_.store(true, std::memory_order_release); }
  /// Called once a poll by an engine thread that has posted something in it: wakes the poller
  /// unless it has been woken since it last took events. The one system call here.
  void publish();

  // The polling thread.
  [[nodiscard]] int event_fd() const { return event_fd_.get(); }
  /// Takes what was posted, in order. Flows are taken first and are to be delivered last: a
  /// `closed` bit that is seen was posted after the `released` bits of its splices.
  void take(AnyFlow*& flows, SpliceOp*& splices);
  /// What the device was lost with; 0: it is there. Any thread.
  [[nodiscard]] int device_lost() const { return device_lost_.load(std::memory_order_relaxed); }
  /// Whether that is to be told. What is taken after this is behind what came of it.
  [[nodiscard]] bool tells_device_lost() const {
    return tells_device_lost_.load(std::memory_order_acquire);
  }

 private:
  UniqueFd event_fd_;
  Intake<AnyFlow, &AnyFlow::event_next> flows_;
  Intake<SpliceOp, &SpliceOp::event_next> splices_;
  std::atomic<int> device_lost_ = 0;
  std::atomic<bool> tells_device_lost_ = false;
  std::atomic<bool> signalled_ =
      false;  ///< the eventfd is readable; set by publish, cleared by take
};

}  // namespace strictsend::engine
