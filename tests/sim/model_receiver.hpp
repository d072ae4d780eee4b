// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.hpp"
#include "engine/transport/tcp/segment.hpp"

namespace strictsend::tcp {

/// A model of the receivers that the world has: it acknowledges as Linux does. Every second full
/// segment at once and the rest after 40 ms (RFC 9293 §3.8.6.3); at once what is out of order,
/// comes twice or comes while there is a gap (RFC 5681 §4.2), with SACK blocks (RFC 2018), the
/// first of them telling of duplicates (RFC 2883); timestamps (RFC 7323). Its application reads at
/// once, so the window never closes, and it never sends data.
///
/// Drives nothing itself: the caller carries segments and calls `on_timer` when `deadline` has
/// come. `TcpPeer` is the other one: it checks what it is sent, and acknowledges everything.
class ModelReceiver {
 public:
  struct Setup {
    std::uint16_t mss_bytes = 1460;
    std::uint32_t window_bytes = 6 << 20;  ///< Linux's tcp_rmem lets it grow to this
    std::uint8_t window_scale = 7;
    bool timestamps = true;
    bool sack = true;
  };
  explicit ModelReceiver(const Setup& setup) : setup_(setup) {}

  [[nodiscard]] SegmentIn syn(Time now) const;
  /// The acknowledgement, if it is due at once.
  std::optional<SegmentIn> receive(const SegmentOut& segment, Time now);

  [[nodiscard]] Time deadline() const { return ack_at_; }  ///< of a delayed acknowledgement
  std::optional<SegmentIn> on_timer(Time now);

  /// Of the stream, from its beginning and without a gap.
  [[nodiscard]] std::uint64_t received_bytes() const { return received_; }
  [[nodiscard]] std::uint64_t duplicate_bytes() const { return duplicate_bytes_; }

 private:
  /// A part of the stream: [begin, end).
  struct Range {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint64_t touched = 0;  ///< the larger, the more recently it grew
  };

  [[nodiscard]] Seq seq_of(std::uint64_t stream_offset) const;
  SegmentIn acknowledgement(Time now);
  void put_sack_blocks(SegmentIn& segment) const;
  void put_early(Range arrived);
  void close_gap();

  Setup setup_;
  bool established_ = false;
  bool timestamps_ = false;  // both sides have said so
  bool sack_ = false;        // likewise
  Seq server_iss_;
  std::uint64_t received_ = 0;
  std::uint64_t acked_ = 0;  // the last acknowledgement's, RFC 7323's Last.ACK.sent
  std::uint32_t recent_timestamp_ = 0;
  std::vector<Range> early_;  // sorted, with gaps between them
  std::uint64_t touches_ = 0;
  std::optional<Range> duplicate_;  // to be told with the next acknowledgement
  std::uint64_t duplicate_bytes_ = 0;
  Time ack_at_ = Time::never();
};

}  // namespace strictsend::tcp
