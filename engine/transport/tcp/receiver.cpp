// SPDX-License-Identifier: Apache-2.0
#include "engine/transport/tcp/receiver.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace strictsend::tcp {

namespace {
constexpr std::uint32_t unscaled_window_bytes_max = 65535;
constexpr std::uint8_t scale_max = 14;  // RFC 7323 §2.3
}  // namespace

std::uint8_t Receiver::scale_for(std::uint32_t buffer_bytes) {
  std::uint8_t scale = 0;
  while (scale < scale_max && (buffer_bytes >> scale) > unscaled_window_bytes_max)
    ++scale;
  return scale;
}

Receiver::Receiver(Seq irs, std::uint32_t buffer_bytes, std::uint32_t mss_bytes, bool scaled)
    : mss_(mss_bytes),
      next_(irs + 1),
      last_ack_sent_(irs + 1),
      scale_(scaled ? scale_for(buffer_bytes) : std::uint8_t{0}) {
  buffer_ = std::min(buffer_bytes, unscaled_window_bytes_max << scale_);
  edge_ = next_ + std::min(buffer_, unscaled_window_bytes_max);  // what the SYN-ACK says
}

bool Receiver::acceptable(const SegmentIn& segment) const {
  const std::uint32_t window = window_bytes();
  const std::uint32_t length =
      segment.payload_bytes + (segment.flags.syn ? 1U : 0U) + (segment.flags.fin ? 1U : 0U);
  if (length == 0) return window == 0 ? segment.seq == next_ : segment.seq.in_window(next_, window);
  if (window == 0) return false;
  return segment.seq.in_window(next_, window) ||
         (segment.seq + (length - 1)).in_window(next_, window);
}

Receiver::Taken Receiver::take(const SegmentIn& segment, Time now) {
  Taken taken;
  if (segment.payload_bytes == 0 && !segment.flags.fin) return taken;
  if (next_.before(segment.seq)) {
    taken.out_of_order = true;
    return taken;
  }
  taken.skip_bytes = next_.since(segment.seq);
  STRICTSEND_ASSERT(taken.skip_bytes <= segment.payload_bytes);
  const std::uint32_t fresh = segment.payload_bytes - taken.skip_bytes;
  taken.bytes = std::min(fresh, window_bytes());
  next_ += taken.bytes;
  buffered_ += taken.bytes;
  STRICTSEND_ASSERT(buffered_ <= buffer_);

  if (segment.flags.fin && taken.bytes == fresh) {
    taken.fin = true;
    next_ += 1;
    // The FIN has no place in the buffer, so it may lie just beyond the edge.
    if (edge_.before(next_)) edge_ = next_;
  }
  // RFC 5681 §4.2: at least every second segment at once, and at once when the segment repeated
  // something or did not fit, because then an acknowledgement was lost or is waited for.
  unacked_segments_ = std::min<std::uint8_t>(2, static_cast<std::uint8_t>(unacked_segments_ + 1));
  if (taken.fin || taken.skip_bytes > 0 || taken.bytes < fresh || unacked_segments_ >= 2) {
    ack_now_ = true;
  } else if (ack_deadline_ == Time::never()) {
    ack_deadline_ = now + ack_delay_max;
  }
  return taken;
}

// RFC 9293 §3.8.6.2.2: promise more only when it is worth a segment or half the buffer.
Seq Receiver::offered_edge() const {
  const Seq possible = next_ + (buffer_ - buffered_);
  // After a FIN beyond the edge there is one sequence number more than buffer.
  if (!edge_.before(possible)) return edge_;
  return possible.since(edge_) >= std::min(buffer_ / 2, mss_) ? possible : edge_;
}

void Receiver::consumed(std::uint32_t bytes) {
  STRICTSEND_ASSERT(bytes <= buffered_);
  buffered_ -= bytes;
  // A peer with room enough needs no acknowledgement for learning of more.
  if (window_bytes() < buffer_ / 2 && offered_edge() != edge_) ack_now_ = true;
}

std::uint16_t Receiver::window_field() const {
  return static_cast<std::uint16_t>(
      std::min(offered_edge().since(next_) >> scale_, unscaled_window_bytes_max));
}

std::uint16_t Receiver::syn_window_field() const {
  return static_cast<std::uint16_t>(edge_.since(next_));
}

void Receiver::acknowledged() {
  edge_ = offered_edge();
  last_ack_sent_ = next_;
  unacked_segments_ = 0;
  ack_now_ = false;
  ack_deadline_ = Time::never();
}

void Receiver::on_ack_deadline() {
  ack_now_ = true;
  ack_deadline_ = Time::never();
}

}  // namespace strictsend::tcp
