// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/flow/fair_turn.hpp"
#include "engine/flow/flow_key.hpp"
#include "engine/loop/timer_wheel.hpp"

namespace strictsend::engine {

/// What a connection and a datagram flow have in common: one slot of a fixed pool, which serves one
/// flow after another; the words by which application threads and the engine thread speak of it;
/// and its turns at the port.
///
/// A slot lives as long as the engine. It belongs to the engine thread of its queue, but for the
/// parts named below, until the application has polled its `closed` event; then the polling thread
/// advances `generation` and hands it back with `request_recycle`.
struct AnyFlow {
  enum class Kind : std::uint8_t { connection, datagrams };

  explicit AnyFlow(Kind of_kind) : kind(of_kind) { timer.owner = release.owner = this; }
  AnyFlow(const AnyFlow&) = delete;
  AnyFlow& operator=(const AnyFlow&) = delete;
  ~AnyFlow() = default;

  const Kind kind;

  // Application to engine: bits set by application threads, taken by the engine thread; non-zero
  // means that the slot is in the request intake.
  enum RequestBit : std::uint32_t {
    request_consumed = 1,  ///< connections: `receive` took bytes, the window may reopen
    request_close = 2,
    request_abort = 4,
    request_cancel = 8,  ///< some splice of it has cancel_requested
    request_recycle = 16,
    request_open = 32,      ///< datagram flows: the slot has been filled in
    request_next_hop = 64,  ///< likewise: what is known of its next hop has changed
  };
  std::atomic<std::uint32_t> requests = 0;
  AnyFlow* request_next = nullptr;

  // Engine to application, the same way round.
  enum EventBit : std::uint32_t {
    event_accepted = 1,
    event_readable = 2,
    event_peer_closed = 4,
    event_closed = 8,
  };
  std::atomic<std::uint32_t> events = 0;
  AnyFlow* event_next = nullptr;
  std::uint32_t undelivered = 0;  ///< the polling thread's: bits taken and not yet handed out
  int close_error = 0;            ///< set before event_closed is posted

  std::uint32_t slot = 0;
  /// Written by the polling thread on recycling, read by everyone: an id of an older generation is
  /// stale.
  std::atomic<std::uint32_t> generation = 1;
  /// Whether application calls on it mean anything: set with event_accepted by the engine thread,
  /// or when the application opens it; cleared by the polling thread with `closed`.
  std::atomic<bool> open = false;
  /// Set by `close` and `abort`, read by `submit`, cleared on recycling; application threads only.
  std::atomic<bool> closed_by_application = false;
  FlowKey key;  ///< set before it is open

  // The engine thread's.
  enum class Phase : std::uint8_t {
    free,
    active,
    dying,   ///< it has ended; splices still have descriptors out
    closed,  ///< event_closed is posted
  };
  Phase phase = Phase::free;
  std::uint32_t splices = 0;  ///< attached and not yet released
  bool finishing = false;     ///< the application has closed its side: nothing more to attach
  bool ready = false;         ///< in the ready list
  FairTurn turn;
  Timer timer;
  Timer release;  ///< when the pacer lets its next packet go
  AnyFlow* ready_next = nullptr;
};

/// A FIFO of flows through one of their links; a flow may be in it once. Engine thread.
template <AnyFlow* AnyFlow::*link>
class FlowQueue {
 public:
  void push_back(AnyFlow& flow) {
    flow.*link = nullptr;
    (tail_ != nullptr ? tail_->*link : head_) = &flow;
    tail_ = &flow;
  }
  void push_front(AnyFlow& flow) {
    flow.*link = head_;
    head_ = &flow;
    if (tail_ == nullptr) tail_ = &flow;
  }
  AnyFlow* pop_front() {
    AnyFlow* flow = head_;
    if (flow != nullptr) {
      head_ = flow->*link;
      if (head_ == nullptr) tail_ = nullptr;
      flow->*link = nullptr;
    }
    return flow;
  }
  [[nodiscard]] bool empty() const { return head_ == nullptr; }

 private:
  AnyFlow* head_ = nullptr;
  AnyFlow* tail_ = nullptr;
};

}  // namespace strictsend::engine
