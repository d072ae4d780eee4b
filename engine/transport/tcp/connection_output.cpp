// SPDX-License-Identifier: Apache-2.0
// What a Connection puts on the wire.
#include <algorithm>

#include "engine/transport/tcp/connection.hpp"

namespace strictsend::tcp {

// One tick a millisecond: RFC 7323 §5.4.
std::uint32_t Connection::timestamp_now(Time now) const {
  return static_cast<std::uint32_t>(now.ns / clock_granularity.ns) + timestamps_.offset;
}

SegmentOut Connection::bare_segment(Time now) const {
  SegmentOut segment;
  const Position position = sender_.bare_position();
  segment.seq = sender_.seq_of(position);
  segment.ack = receiver_.next();
  segment.window = receiver_.window_field();
  segment.flags.ack = true;
  segment.flags.ece = congestion_echo_;
  segment.mss_bytes = sender_.mss_bytes();
  segment.stream_offset = std::min(std::max<Position>(position, 1), sender_.end()) - 1;
  if (timestamps_.on)
    segment.timestamps = Timestamps{.value = timestamp_now(now), .echo = timestamps_.recent};
  return segment;
}

SegmentOut Connection::reset_segment(Time now) const {
  SegmentOut segment = bare_segment(now);
  segment.seq = sender_.seq_of(sender_.reset_position());
  segment.flags.rst = true;
  segment.flags.ece = false;
  segment.window = 0;
  return segment;
}

SegmentOut Connection::to_segment(const Chunk& chunk, Time now) const {
  SegmentOut segment = bare_segment(now);
  segment.seq = sender_.seq_of(chunk.begin);
  segment.stream_offset = chunk.begin == 0 ? 0 : chunk.begin - 1;
  segment.payload_bytes = chunk.payload_bytes;
  segment.flags.syn = chunk.syn;
  segment.flags.fin = chunk.fin;
  segment.flags.psh = chunk.push;
  segment.retransmission = chunk.retransmission;
  if (chunk.syn) {
    segment.window = receiver_.syn_window_field();
    segment.syn_options.mss = config_.mss_bytes;
    if (scaled_)
      segment.syn_options.window_scale = Receiver::scale_for(config_.receive_buffer_bytes);
    segment.syn_options.sack_permitted = sack_permitted_;
    // A SYN-ACK that got lost may have got lost for its ECE: RFC 3168 §6.1.1.1.
    segment.flags.ece = ecn_ && !chunk.retransmission;
    return segment;
  }
  // RFC 3168 §6.1.2, 6.1.5, 6.1.6: new data within the window alone.
  segment.ecn_capable = ecn_ && !chunk.retransmission && chunk.payload_bytes > 0 &&
                        chunk.begin + chunk.payload_bytes <= sender_.una() + sender_.window_bytes();
  if (segment.ecn_capable && sender_.owes_cwr()) {
    segment.flags.cwr = true;
    segment.shorten(segment.mss_bytes);  // of one packet: no port is asked what it does with CWR
  }
  return segment;
}

std::optional<SegmentOut> Connection::next_segment(Time now) const {
  if (state_ == State::closed) return std::nullopt;
  if (const std::optional<Chunk> chunk = sender_.next(now)) return to_segment(*chunk, now);
  if (receiver_.ack_now() && state_ != State::syn_received) return bare_segment(now);
  return std::nullopt;
}

void Connection::sent(const SegmentOut& segment, Time now) {
  if (state_ == State::closed || segment.flags.rst) return;
  if (segment.flags.syn) {
    ecn_ = segment.flags.ece;
    sender_.sent(Chunk{.syn = true}, now);
    return;  // the window of a SYN-ACK was promised when the connection was made
  }
  receiver_.acknowledged();
  if (segment.payload_bytes == 0 && !segment.flags.fin) return;
  const Position new_before = sender_.max();
  sender_.sent(Chunk{.begin = segment.stream_offset + 1,
                     .payload_bytes = segment.payload_bytes,
                     .fin = segment.flags.fin},
               now);
  if (sender_.max() > new_before) progress_at_ = now;
}

std::optional<SegmentOut> Connection::abort(Time now) {
  const State before = state_;
  if (before == State::closed) return std::nullopt;
  close(CloseReason::aborted, nullptr);
  if (before == State::time_wait) return std::nullopt;  // RFC 9293 §3.10.5
  return reset_segment(now);
}

std::optional<SegmentOut> reset_for(const SegmentIn& segment) {
  if (segment.flags.rst) return std::nullopt;
  SegmentOut reset;
  reset.flags.rst = true;
  if (segment.flags.ack) {
    reset.seq = segment.ack;
  } else {
    reset.ack = segment.seq + (segment.payload_bytes + (segment.flags.syn ? 1U : 0U) +
                               (segment.flags.fin ? 1U : 0U));
    reset.flags.ack = true;
  }
  return reset;
}

}  // namespace strictsend::tcp
