// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "engine/flow/any_flow.hpp"
#include "engine/transport/udp/sender.hpp"
#include "pagecache/page_cache.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::engine {

/// A submitted splice from submit to the poll of its `released` event: one slot of a fixed pool.
///
/// Three owners in turn: the submitting thread fills it and pushes it to the engine thread's
/// intake; the engine thread sends it and posts its events; the thread that polls hands the events
/// out and returns the slot to the pool. Each hand-over is a release/acquire pair of an Intake.
///
/// To a datagram flow it is a batch; the stream is a connection's.
struct SpliceOp : udp::Batch {
  enum EventBit : std::uint32_t { event_sent = 1, event_released = 2 };

  // Written by the submitting thread.
  SpliceOp* submit_next = nullptr;
  AnyFlow* flow = nullptr;  ///< cleared by the engine thread if it is no longer that one
  AnyFlow::Kind kind = AnyFlow::Kind::connection;  ///< what it is for, also when `flow` is cleared
  ConnectionId connection;                         ///< or a DatagramFlowId's slot and generation
  std::uint32_t index = 0;
  std::uint32_t generation = 0;  ///< of the slot, so that a stale splice id is recognised
  bool in_use = false;           ///< the pool's
  bool notify_sent = false;
  pagecache::SnapshotState* snapshot = nullptr;  ///< engine thread: given up on release
  std::uint64_t file_offset = 0;
  std::uint64_t file_bytes = 0;
  std::vector<std::byte> header;
  std::vector<std::byte> trailer;
  DatagramField sequence;  ///< of the header, which is a template then; as is the next
  DatagramField byte_offset;
  std::uint64_t user_data = 0;
  std::atomic<bool> cancel_requested = false;  ///< any application thread sets, engine thread reads

  // The engine thread's.
  SpliceOp* stream_next = nullptr;
  std::uint64_t stream_begin = 0;     ///< stream offset of the first byte
  std::uint32_t descriptors_out = 0;  ///< packets under descriptors that refer to its frames
  bool finished = false;  ///< nothing more of it will be built; released at zero descriptors
  bool sent_posted = false;
  std::uint64_t frozen_bytes = 0;  ///< of the snapshot, not acknowledged yet: its part of the gauge
  SpliceResult result;

  // Events: bits are set by the engine thread and taken by the polling one; non-zero means that the
  // slot is in the event intake.
  std::atomic<std::uint32_t> events = 0;
  SpliceOp* event_next = nullptr;
  std::uint32_t undelivered = 0;  ///< the polling thread's: bits taken and not yet handed out
  SpliceResult sent_result;       ///< as it was when event_sent was posted

  [[nodiscard]] std::uint64_t stream_bytes() const {
    return header.size() + file_bytes + trailer.size();
  }
  [[nodiscard]] std::uint64_t stream_end() const { return stream_begin + stream_bytes(); }
  [[nodiscard]] std::uint64_t id() const { return (std::uint64_t{generation} << 32) | index; }
};

}  // namespace strictsend::engine
