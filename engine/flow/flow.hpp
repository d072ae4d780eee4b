// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "engine/flow/flow_key.hpp"
#include "engine/flow/receive_ring.hpp"
#include "engine/flow/send_stream.hpp"
#include "engine/loop/timer_wheel.hpp"
#include "engine/transport/tcp/connection.hpp"
#include "nic/wire/header_template.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::engine {

/// One connection slot: the transport's state, what it sends and what it received.
///
/// A slot lives as long as the engine and serves one connection after another. It belongs to the
/// engine thread of its queue, but for the parts named below, from the first SYN until the
/// application has polled its `closed` event; then the polling thread advances `generation` and
/// hands it back with `request_recycle`.
struct Flow {
  // Application to engine: bits set by application threads, taken by the engine thread; non-zero
  // means that the slot is in the request intake.
  enum RequestBit : std::uint32_t {
    request_consumed = 1,  ///< `receive` took bytes: the window may reopen
    request_close = 2,
    request_abort = 4,
    request_cancel = 8,  ///< some splice of it has cancel_requested
    request_recycle = 16,
  };
  std::atomic<std::uint32_t> requests = 0;
  Flow* request_next = nullptr;

  // Engine to application, the same way round.
  enum EventBit : std::uint32_t {
    event_accepted = 1,
    event_readable = 2,
    event_peer_closed = 4,
    event_closed = 8,
  };
  std::atomic<std::uint32_t> events = 0;
  Flow* event_next = nullptr;
  std::uint32_t undelivered = 0;  ///< the polling thread's: bits taken and not yet handed out
  int close_error = 0;            ///< set before event_closed is posted

  std::uint32_t slot = 0;
  /// Written by the polling thread on recycling, read by everyone: an id of an older generation is
  /// stale.
  std::atomic<std::uint32_t> generation = 1;
  /// Set by the engine thread with event_accepted, cleared by the polling thread with `closed`:
  /// whether application calls on it mean anything.
  std::atomic<bool> open = false;
  /// Set by `close` and `abort`, read by `submit`, cleared on recycling; application threads only.
  std::atomic<bool> closed_by_application = false;
  FlowKey key;  ///< set before event_accepted is posted
  ReceiveRing received;

  // The engine thread's.
  enum class Phase : std::uint8_t {
    free,
    active,
    dying,   ///< the connection has ended; splices still have descriptors out
    closed,  ///< event_closed is posted
  };
  Phase phase = Phase::free;
  std::optional<tcp::Connection> connection;
  nic::MacAddress peer_mac{};
  wire::TcpHeaderTemplate header;
  SendStream stream;
  std::uint64_t consumed_bytes = 0;  ///< of `received`, as told to the connection
  std::uint32_t splices = 0;         ///< attached and not yet released
  bool announced = false;            ///< event_accepted was posted
  bool finishing = false;  ///< the application has closed its side: nothing more to attach
  bool ready = false;      ///< in the ready list
  Timer timer;
  Timer release;  ///< when the pacer lets its next segment go
  Flow* ready_next = nullptr;
  Flow* hash_next = nullptr;
  Flow* free_next = nullptr;
};

/// A FIFO of flows through one of their links; a flow may be in it once. Engine thread.
template <Flow* Flow::*link>
class FlowQueue {
 public:
  void push_back(Flow& flow) {
    flow.*link = nullptr;
    (tail_ != nullptr ? tail_->*link : head_) = &flow;
    tail_ = &flow;
  }
  Flow* pop_front() {
    Flow* flow = head_;
    if (flow != nullptr) {
      head_ = flow->*link;
      if (head_ == nullptr) tail_ = nullptr;
      flow->*link = nullptr;
    }
    return flow;
  }
  [[nodiscard]] bool empty() const { return head_ == nullptr; }

 private:
  Flow* head_ = nullptr;
  Flow* tail_ = nullptr;
};

}  // namespace strictsend::engine
