// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/clock.hpp"
#include "engine/transport/tcp/congestion_control.hpp"
#include "engine/transport/tcp/rtt_estimator.hpp"
#include "engine/transport/tcp/seqnum.hpp"

namespace strictsend::tcp {

/// A place in the sent sequence space, counted from our SYN and never wrapping: 0 is the SYN, 1 the
/// first byte of the stream, the one behind the last byte is the FIN. On the wire it is
/// iss + position (mod 2^32).
using Position = std::uint64_t;

/// The next thing to put on the wire.
struct Chunk {
  Position begin = 0;
  std::uint32_t payload_bytes = 0;
  bool syn = false;
  bool fin = false;
  bool push = false;
  bool retransmission = false;
};

/// A received acknowledgement.
struct AckIn {
  Seq ack;
  std::uint32_t window_bytes = 0;      ///< unscaled
  bool window_valid = false;           ///< newer than the last window taken (RFC 9293 §3.10.7.4)
  bool bare = false;                   ///< no payload, SYN or FIN with it
  std::optional<Duration> echoed_rtt;  ///< by timestamp echo (RFC 7323 §4)
};

enum class AckKind : std::uint8_t { old, current, advanced };

struct SenderCounters {
  std::uint32_t retransmissions = 0;  ///< segments sent again, for whatever reason
  std::uint32_t rto_fires = 0;
  std::uint32_t fast_retransmits = 0;  ///< recoveries entered
  std::uint32_t window_probes = 0;
  std::uint32_t duplicate_acks = 0;
};

/// The sending half: what is outstanding, how much more may go, what to repeat and when.
///
///        una            nxt            max                  end     end+1
///     ----|--------------|--------------|--------------------|--FIN--|
///     acked   in flight    sent before    enqueued, not sent
///                          the timeout
///
/// nxt falls back to una when the timer fires (go back N); everything below max that is sent then
/// is a retransmission. Owned by its Connection; pure.
class Sender {
 public:
  /// `segment_bytes_max`: of the payload that goes out at once and is cut into packets behind us; a
  /// multiple of the MSS.
  Sender(Seq iss, std::uint32_t mss_bytes, std::uint32_t segment_bytes_max, Duration rto_min,
         Duration rto_max, std::uint32_t peer_window_bytes);

  // The stream.
  void enqueue(std::uint64_t bytes);
  void retract(std::uint64_t bytes);
  void finish() { fin_queued_ = true; }

  // What to send, and that it was sent.
  [[nodiscard]] std::optional<Chunk> next(Time now) const;
  void sent(const Chunk& chunk, Time now);

  // What comes back.
  [[nodiscard]] bool acks_unsent(Seq ack) const { return seq_of(max_).before(ack); }
  /// Older than anything that a peer could still be sending: RFC 5961 §5.
  [[nodiscard]] bool acks_long_gone(Seq ack) const {
    return ack.before(seq_of(una_)) && seq_of(una_).since(ack) > window_bytes_max_;
  }
  /// `ack` must not acknowledge what was never sent.
  AckKind on_ack(const AckIn& ack, Time now);
  void handshake_done(Time now);

  // The one timer: retransmission or persist (RFC 9293 §3.8.1, §3.8.6.1).
  [[nodiscard]] Time deadline() const { return deadline_; }
  /// Call when now >= deadline(). Returns how many times it has now fired without an answer.
  std::uint32_t on_deadline(Time now);
  /// After anything that may have opened or closed a way to send.
  void update_timer(Time now);
  /// The SYN-ACK was lost, the peer says by repeating its SYN: it may go out again now.
  void repeat_syn();

  [[nodiscard]] Seq seq_of(Position position) const {
    return iss_ + static_cast<std::uint32_t>(position);
  }
  /// Where a segment without payload stands: after everything sent, but within the window, or the
  /// peer would find it unacceptable.
  [[nodiscard]] Position bare_position() const {
    return std::min(max_, std::max(nxt_, window_edge_));
  }
  [[nodiscard]] Position una() const { return una_; }
  [[nodiscard]] Position nxt() const { return nxt_; }
  [[nodiscard]] Position max() const { return max_; }
  [[nodiscard]] Position end() const { return end_; }
  [[nodiscard]] bool fin_queued() const { return fin_queued_; }
  [[nodiscard]] bool fin_acked() const { return fin_queued_ && una_ == end_ + 1; }
  [[nodiscard]] bool timer_fired_unanswered() const { return unanswered_ > 0; }
  [[nodiscard]] std::uint32_t mss_bytes() const { return mss_; }
  [[nodiscard]] std::uint32_t window_bytes() const;
  [[nodiscard]] bool in_recovery() const { return in_recovery_; }
  [[nodiscard]] const CongestionControl& congestion() const { return congestion_; }
  [[nodiscard]] const RttEstimator& rtt() const { return rtt_; }
  [[nodiscard]] const SenderCounters& counters() const { return counters_; }
  void check() const;  ///< the invariants

 private:
  enum class Timer : std::uint8_t { none, retransmit, persist };

  [[nodiscard]] Position last() const { return end_ + (fin_queued_ ? 1 : 0); }
  [[nodiscard]] std::uint32_t flight_bytes() const;
  [[nodiscard]] bool idle_since_rto(Time now) const;
  [[nodiscard]] std::uint32_t allowance_bytes(Time now) const;
  [[nodiscard]] std::uint32_t segment_bytes(std::uint32_t allowance, std::uint32_t parts) const;
  [[nodiscard]] std::uint32_t awaited_bytes(std::uint32_t allowance) const;
  [[nodiscard]] Chunk chunk(Position begin, std::uint64_t payload_bytes, bool fin) const;
  [[nodiscard]] std::optional<Chunk> first_outstanding() const;
  [[nodiscard]] std::optional<Chunk> pending(Time now, bool forced) const;
  [[nodiscard]] Duration persist_interval() const;

  void take_rtt(const AckIn& ack, Time now);
  void on_duplicate(Time now);
  void on_advance(Position to, Time now);
  void enter_recovery(Time now);
  /// Returns whether the retransmission timer starts anew.
  bool on_advance_in_recovery(std::uint32_t acked, Time now);
  void arm(Timer timer, Time deadline);

  Seq iss_;
  std::uint32_t mss_;
  std::uint32_t segment_bytes_max_;
  Position una_ = 0;
  Position nxt_ = 0;
  Position max_ = 0;
  Position end_ = 1;
  Position window_edge_;  // first position that the peer has no room for
  std::uint32_t window_bytes_max_;
  bool fin_queued_ = false;
  bool established_ = false;

  // Loss recovery: RFC 5681 §3.2, RFC 6582, RFC 3042.
  bool in_recovery_ = false;
  bool first_partial_ack_ = false;
  bool retransmit_now_ = false;   // the segment at una goes out next, whatever the windows say
  std::uint32_t duplicates_ = 0;  // in a row
  std::uint32_t recovery_window_ = 0;
  std::uint32_t last_advance_ = 0;  // bytes that the last cumulative acknowledgement moved
  Position recover_ = 0;            // max_ when loss was last detected

  // Round trips: one segment at a time is timed exactly (Karn); while what is outstanding was sent
  // twice, the timestamp echo tells which one was answered.
  bool timing_ = false;
  Position timed_end_ = 0;
  Time timed_at_;

  Timer timer_ = Timer::none;
  bool forced_ = false;           // the timer fired: send at least something
  std::uint32_t unanswered_ = 0;  // fires in a row without an answer
  std::uint8_t persist_back_offs_ = 0;
  Time deadline_ = Time::never();
  Time last_sent_;

  // How much of the congestion window was in use (RFC 7661): the peak in the last window.
  std::uint32_t flight_peak_ = 0;
  Position flight_peak_until_ = 0;

  RttEstimator rtt_;
  CongestionControl congestion_;
  SenderCounters counters_;
};

}  // namespace strictsend::tcp
