// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.hpp"
#include "engine/transport/tcp/segment.hpp"

namespace strictsend::tcp {

// The contract between the TCP core and whoever drives it (the engine, a story test, a simulation): pure decisions,
// no packets, no payload, no clock, no randomness, no allocation. One thread drives a connection.

struct Config {
  std::uint16_t mss_bytes = 1460;           ///< our own: what the port's MTU allows, without options
  std::uint32_t receive_buffer_bytes = 0;   ///< the receive window's size
  Duration rto_min = milliseconds(200);
  Duration rto_max = seconds(60);
  std::uint32_t retries_max = 10;           ///< of one segment, then the connection is given up
  std::uint32_t syn_retries_max = 4;
  Duration time_wait = seconds(1);
  Duration idle_timeout = seconds(60);      ///< nothing moves on an established connection; zero: never
};

/// RFC 9293 §3.3.2; we only open passively, so no SYN-SENT.
enum class State : std::uint8_t {
  syn_received, established, fin_wait_1, fin_wait_2, close_wait, closing, last_ack, time_wait, closed,
};

/// Why a connection ended.
enum class CloseReason : std::uint8_t { none, finished, reset_by_peer, timed_out, idle, aborted };

/// What an event made of the connection, for the caller to carry out.
struct Outcome {
  std::uint32_t deliver_skip_bytes = 0;  ///< of the segment's payload: leading bytes that we already had
  std::uint32_t deliver_bytes = 0;       ///< following bytes to hand to the application, in order
  std::uint64_t acked_to = 0;            ///< stream offset below which everything is acknowledged
  bool established = false;              ///< became established now
  bool peer_closed = false;              ///< the peer's FIN was taken now
  bool closed = false;                   ///< became closed now: close_reason says why
  /// Answer with this at once; it carries no payload (a RST, or a challenge ACK). Plain ACKs come through
  /// `next_segment` instead, so that they can ride on data.
  std::optional<SegmentOut> reply;
};

class Connection;  // defined in this header by the core

}  // namespace strictsend::tcp
