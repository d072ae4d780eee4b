// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.hpp"
#include "engine/transport/tcp/receiver.hpp"
#include "engine/transport/tcp/scoreboard.hpp"
#include "engine/transport/tcp/segment.hpp"
#include "engine/transport/tcp/sender.hpp"

namespace strictsend::tcp {

// The contract between the TCP core and whoever drives it (the engine, a story test, a simulation):
// pure decisions, no packets, no payload, no clock, no randomness, no allocation. One thread drives
// a connection.

struct Config {
  std::uint16_t mss_bytes = 1460;          ///< our own, for what we receive, without options
  std::uint16_t mss_send_bytes = 0;        ///< likewise of what we send; 0: the same
  std::uint32_t ip_header_bytes = 20;      ///< 40 for IPv6: what a path MTU leaves for TCP
  std::uint32_t receive_buffer_bytes = 0;  ///< the receive window's size
  /// Most payload of one segment, when the port cuts it into packets (TCP segmentation offload);
  /// below two MSS: it cuts none.
  std::uint32_t segment_bytes_max = 0;
  CongestionAlgorithm congestion = CongestionAlgorithm::cubic;
  bool sack = true;    ///< agree on selective acknowledgements if the peer offers them
  bool ecn = true;     ///< agree on explicit congestion notification if the peer asks (RFC 3168)
  bool pacing = true;  ///< spread what an acknowledgement lets out over the round trip
  Duration rto_min = milliseconds(200);
  Duration rto_max = seconds(60);
  std::uint32_t retries_max = 10;  ///< of one segment, then the connection is given up
  std::uint32_t syn_retries_max = 4;
  Duration time_wait = seconds(1);
  Duration idle_timeout = seconds(60);  ///< nothing moves on an established connection; zero: never
  /// While data is due, fewer bytes acknowledged in an idle_timeout are none: a peer that takes one
  /// with each probe of its window would hold what it was sent for ever. 0: one byte will do.
  std::uint32_t progress_bytes_min = 1024;
};

/// RFC 9293 §3.3.2; we only open passively, so no SYN-SENT.
enum class State : std::uint8_t {
  syn_received,
  established,
  fin_wait_1,
  fin_wait_2,
  close_wait,
  closing,
  last_ack,
  time_wait,
  closed,
};

/// Why a connection ended.
enum class CloseReason : std::uint8_t {
  none,
  finished,
  reset_by_peer,
  timed_out,
  idle,
  slow,
  aborted
};

/// What an event made of the connection, for the caller to carry out.
struct Outcome {
  std::uint32_t deliver_skip_bytes =
      0;                            ///< of the segment's payload: leading bytes that we already had
  std::uint32_t deliver_bytes = 0;  ///< following bytes to hand to the application, in order
  std::uint64_t acked_to = 0;       ///< stream offset below which everything is acknowledged
  bool established = false;         ///< became established now
  bool peer_closed = false;         ///< the peer's FIN was taken now
  bool closed = false;              ///< became closed now: close_reason says why
  /// Answer with this at once; it carries no payload (a RST, a challenge ACK, or a duplicate ACK,
  /// which only counts when it is bare and one for each segment). Plain ACKs come through
  /// `next_segment` instead, so that they can ride on data.
  std::optional<SegmentOut> reply;
};

/// Counters of one connection, for its owner to add up.
struct ConnectionCounters {
  SenderCounters sender;
  std::uint32_t out_of_order_segments = 0;  ///< dropped; the peer sends them again
  std::uint32_t unacceptable_segments = 0;  ///< RFC 9293 §3.10.7.4 first step, PAWS included
  std::uint32_t challenge_acks = 0;         ///< RFC 5961
};

/// One TCP connection, opened passively, that mainly sends.
///
/// Owned by the engine (one table slot each; a value without heap, but for its runs of the pool),
/// driven by its one thread. It
/// knows positions in streams, never bytes: the caller keeps the sent stream until `acked_to` and
/// the received one from `Outcome` on. Nothing blocks and nothing fails; a misuse asserts.
///
/// The driving loop, after any event: `while (auto segment = c.next_segment(now)) { transmit it;
/// c.sent(*segment, now); }`, and `on_timer` when `next_deadline()` has come.
class Connection {
 public:
  /// Answers `syn` (which must be a SYN without ACK or RST); the SYN-ACK comes out of
  /// `next_segment`. `timestamp_offset` makes our timestamps unpredictable (RFC 7323 §5.4).
  static Connection accept(const Config& config, const SegmentIn& syn, Seq initial_send_seq,
                           std::uint32_t timestamp_offset, RunPool& pool, Time now);

  /// Goes on where a SYN-ACK that left no state behind began (syn_cookie.hpp). `syn` is what that
  /// answered, as far as the cookie has kept it; `on_segment` with the peer's ACK comes next.
  static Connection accept_cookie(const Config& config, const SegmentIn& syn, Seq initial_send_seq,
                                  std::uint32_t timestamp_offset, RunPool& pool, Time now);

  Outcome on_segment(const SegmentIn& segment, Time now);

  /// Call when now >= next_deadline(); harmless earlier.
  Outcome on_timer(Time now);
  [[nodiscard]] Time next_deadline() const { return std::min(protocol_deadline(), release_at()); }
  /// Its two parts, for who keeps timers of different precision: what protocols want (milliseconds
  /// do), and when the pacer lets the next segment go.
  [[nodiscard]] Time protocol_deadline() const;
  [[nodiscard]] Time release_at() const {
    return state_ == State::closed ? Time::never() : sender_.release_at();
  }
  void released(Time now) { sender_.released(now); }  ///< that time has come

  /// A router has dropped a packet of ours, which began at `quoted`, for its size (RFC 1191 §3, RFC
  /// 8201 §4). Whether it is believed: it must be of what is outstanding (RFC 5927 §4).
  bool on_path_mtu(std::uint32_t mtu_bytes, Seq quoted, Time now);

  // The sent stream, in bytes since its beginning.
  void enqueue(std::uint64_t bytes, Time now);  ///< it grew by so many
  void retract(std::uint64_t bytes, Time now);  ///< it shrinks by some that were never sent
  void finish(Time now);                        ///< FIN after everything enqueued; idempotent
  [[nodiscard]] std::uint64_t stream_end() const { return sender_.end() - 1; }
  [[nodiscard]] std::uint64_t acked_to() const;
  [[nodiscard]] std::uint64_t sent_to() const;

  /// Resets: the RST to send, unless both sides have already finished. Closed afterwards.
  std::optional<SegmentOut> abort(Time now);

  /// The application has read received bytes: the window may reopen.
  void consumed(std::uint32_t bytes);

  /// What should go out now, if anything. Asking changes nothing.
  [[nodiscard]] std::optional<SegmentOut> next_segment(Time now) const;
  /// It went out, with as much payload as it says: a caller may have used `SegmentOut::shorten`.
  /// Segments of `Outcome::reply` and `abort` need no such call.
  void sent(const SegmentOut& segment, Time now);

  /// In TIME-WAIT: whether this SYN may open a new connection in this one's place (RFC 9293
  /// §3.10.7.4, RFC 6191): it lies beyond everything received.
  [[nodiscard]] bool may_be_replaced_by(const SegmentIn& syn) const;

  /// False only for what cannot be of this connection although it is of the same two ends: in
  /// SYN-RECEIVED, what belongs to no handshake with this SYN-ACK. A peer whose SYN was answered
  /// twice, by two engine threads that know nothing of each other, goes on with one of them.
  [[nodiscard]] bool may_be_of(const SegmentIn& segment) const;

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] CloseReason close_reason() const { return close_reason_; }
  [[nodiscard]] std::uint32_t mss_bytes() const { return sender_.mss_bytes(); }  ///< effective
  [[nodiscard]] std::uint32_t cwnd_bytes() const { return sender_.cwnd_bytes(); }
  [[nodiscard]] std::uint32_t ssthresh_bytes() const {
    return sender_.congestion().ssthresh_bytes();
  }
  [[nodiscard]] Seq next_receive_seq() const { return receiver_.next(); }  ///< RCV.NXT
  [[nodiscard]] std::uint32_t receive_window_bytes() const { return receiver_.window_bytes(); }
  [[nodiscard]] std::uint32_t peer_window_bytes() const { return sender_.window_bytes(); }
  [[nodiscard]] Duration srtt() const { return sender_.rtt().srtt(); }
  [[nodiscard]] Duration rto() const { return sender_.rtt().rto(); }
  [[nodiscard]] bool timestamps_on() const { return timestamps_.on; }
  [[nodiscard]] bool ecn_on() const { return ecn_; }
  [[nodiscard]] const Sender& sender() const { return sender_; }
  [[nodiscard]] ConnectionCounters counters() const;

 private:
  /// RFC 7323.
  struct TimestampState {
    bool on = false;
    std::uint32_t offset = 0;
    std::uint32_t recent = 0;  // TS.Recent
    Time recent_at;
  };

  Connection(const Config& config, const SegmentIn& syn, Seq initial_send_seq,
             std::uint32_t timestamp_offset, RunPool& pool, Time now);

  // Input, in the order of RFC 9293 §3.10.7.4 (connection_input.cpp).
  [[nodiscard]] bool old_by_timestamp(const SegmentIn& segment, Time now) const;
  void on_unacceptable(const SegmentIn& segment, Outcome& outcome, Time now);
  void on_reset(const SegmentIn& segment, Outcome& outcome, Time now);
  bool on_acknowledgement(const SegmentIn& segment, Outcome& outcome, Time now);
  void on_own_fin_acknowledged(Outcome& outcome, Time now);
  void on_ecn(const SegmentIn& segment);
  void on_text(const SegmentIn& segment, Outcome& outcome, Time now);
  void on_peer_fin(Outcome& outcome, Time now);
  void challenge(Outcome& outcome, Time now);

  void close(CloseReason reason, Outcome* outcome);
  void enter_time_wait(Time now);
  [[nodiscard]] bool receives() const;  // the peer has not sent FIN yet
  [[nodiscard]] Time idle_deadline() const;
  [[nodiscard]] Time progress_deadline() const;
  [[nodiscard]] std::uint32_t timestamp_now(Time now) const;

  // Output (connection_output.cpp).
  [[nodiscard]] SegmentOut bare_segment(Time now) const;
  [[nodiscard]] SegmentOut reset_segment(Time now) const;
  [[nodiscard]] SegmentOut to_segment(const Chunk& chunk, Time now) const;

  Config config_;
  State state_ = State::syn_received;
  CloseReason close_reason_ = CloseReason::none;
  bool scaled_ = false;
  bool sack_permitted_ = false;
  bool ecn_ = false;
  bool congestion_echo_ = false;  ///< ECE on every segment until the peer answers it with CWR
  bool finish_asked_ = false;
  std::uint8_t peer_scale_ = 0;
  TimestampState timestamps_;
  Seq window_seq_;  // SND.WL1
  Seq window_ack_;  // SND.WL2
  Time time_wait_deadline_ = Time::never();
  Time progress_at_;  // something moved: new data out, data acknowledged, data in
  Time due_since_;    // data has been due, without progress_bytes_min acknowledged
  std::uint64_t due_from_ = 0;
  Time challenged_at_;
  bool challenged_ = false;
  std::uint32_t out_of_order_segments_ = 0;
  std::uint32_t unacceptable_segments_ = 0;
  std::uint32_t challenge_acks_ = 0;
  Receiver receiver_;
  Sender sender_;
};

static_assert(sizeof(Connection) <= 1024);

/// The answer to a segment that belongs to no connection; none to a RST. RFC 9293 §3.10.7.1.
[[nodiscard]] std::optional<SegmentOut> reset_for(const SegmentIn& segment);

}  // namespace strictsend::tcp
