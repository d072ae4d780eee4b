// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/clock.hpp"
#include "engine/transport/tcp/segment.hpp"

namespace strictsend::tcp {

/// Delayed acknowledgements wait at most so long (RFC 9293 §3.8.6.3 allows 500 ms).
inline constexpr Duration ack_delay_max = milliseconds(40);

/// The receiving half, for small requests: payload is taken in order only. What comes early is
/// dropped and answered with a duplicate acknowledgement, so the peer repeats it.
///
///       next                 edge          next + free
///     ---|--------------------|--------------|
///     taken   promised to the    not promised yet
///             peer (window)      (silly window avoidance)
///
/// The edge never moves back. Owned by its Connection; pure.
class Receiver {
 public:
  /// `scaled`: both sides have sent a window scale option.
  Receiver(Seq irs, std::uint32_t buffer_bytes, std::uint32_t mss_bytes, bool scaled);

  /// The shift count for a buffer of this size (RFC 7323 §2.2): the smallest that can express it.
  [[nodiscard]] static std::uint8_t scale_for(std::uint32_t buffer_bytes);

  /// RFC 9293 §3.10.7.4, the table of acceptability.
  [[nodiscard]] bool acceptable(const SegmentIn& segment) const;

  struct Taken {
    std::uint32_t skip_bytes = 0;
    std::uint32_t bytes = 0;
    bool fin = false;
    bool out_of_order = false;
  };
  /// Takes payload and FIN of an acceptable segment.
  Taken take(const SegmentIn& segment, Time now);

  /// The application has read so much.
  void consumed(std::uint32_t bytes);

  [[nodiscard]] Seq next() const { return next_; }
  [[nodiscard]] std::uint32_t window_bytes() const { return edge_.since(next_); }
  [[nodiscard]] std::uint32_t buffered_bytes() const { return buffered_; }
  [[nodiscard]] Seq last_ack_sent() const { return last_ack_sent_; }

  /// What a segment sent now says; `acknowledged` commits to it.
  [[nodiscard]] std::uint16_t window_field() const;
  [[nodiscard]] std::uint16_t syn_window_field() const;  ///< never scaled (RFC 7323 §2.2)
  void acknowledged();

  void require_ack() { ack_now_ = true; }
  [[nodiscard]] bool ack_now() const { return ack_now_; }
  [[nodiscard]] Time ack_deadline() const { return ack_deadline_; }
  void on_ack_deadline();

 private:
  [[nodiscard]] Seq offered_edge() const;

  std::uint32_t buffer_;
  std::uint32_t mss_;
  std::uint32_t buffered_ = 0;  // taken and not yet consumed
  Seq next_;
  Seq edge_;
  Seq last_ack_sent_;
  std::uint8_t scale_;
  std::uint8_t unacked_segments_ = 0;
  bool ack_now_ = false;
  Time ack_deadline_ = Time::never();
};

}  // namespace strictsend::tcp
