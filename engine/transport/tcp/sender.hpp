// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/clock.hpp"
#include "engine/transport/pacer.hpp"
#include "engine/transport/tcp/congestion_control.hpp"
#include "engine/transport/tcp/delivery_rate.hpp"
#include "engine/transport/tcp/prr.hpp"
#include "engine/transport/tcp/rack.hpp"
#include "engine/transport/tcp/rtt_estimator.hpp"
#include "engine/transport/tcp/scoreboard.hpp"
#include "engine/transport/tcp/segment.hpp"
#include "engine/transport/tcp/seqnum.hpp"

namespace strictsend::tcp {

struct SenderSetup {
  Seq iss;
  std::uint32_t mss_bytes = 0;
  /// Most payload that goes out at once, to be cut into packets behind us; below two MSS: one.
  std::uint32_t segment_bytes_max = 0;
  std::uint32_t peer_window_bytes = 0;
  Duration rto_min;
  Duration rto_max;
  CongestionAlgorithm congestion = CongestionAlgorithm::cubic;
  bool sack = false;   ///< the peer tells what it has: RFC 2018
  bool pacing = true;  ///< spread what an acknowledgement lets out
  std::uint32_t mss_base_bytes =
      0;  ///< that every path carries: RFC 8899 §5.1.2; 0: do not go down
};

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
  bool congestion_echo = false;        ///< ECE, where ECN was agreed on (RFC 3168 §6.1.2)
  std::optional<Duration> echoed_rtt;  ///< by timestamp echo (RFC 7323 §4)
  SackBlocks sacks;
};

enum class AckKind : std::uint8_t { old, current, advanced };

struct SenderCounters {
  std::uint64_t retransmitted_bytes = 0;
  std::uint32_t retransmissions = 0;  ///< segments sent again, for whatever reason
  std::uint32_t rto_fires = 0;
  std::uint32_t fast_retransmits = 0;  ///< recoveries entered
  std::uint32_t tail_loss_probes = 0;  ///< RFC 8985 §7
  std::uint32_t undone = 0;            ///< reductions that turned out spurious
  std::uint32_t ecn_reductions = 0;
  std::uint32_t window_probes = 0;
  std::uint32_t duplicate_acks = 0;
  std::uint32_t mss_reductions = 0;  ///< for a path that carries less
};

/// The sending half: what is outstanding, how much more may go, what to repeat and when.
///
///        una                  nxt  max               end     end+1
///     ----|--------------------|----|-----------------|--FIN--|
///     acked   the scoreboard's   probed  enqueued, not sent
///
/// Between nxt and max lies what only probed a closed window. Loss is told by time (RFC 8985);
/// where the peer sends no SACK, by duplicates (RFC 5681 §3.2, 6582). What is lost goes first, and
/// how much goes is cwnd less what is in flight (RFC 6675), spread by the pacer.
///
///     open ──loss──▶ recovery ──all of then acknowledged──▶ open
///     open ──ECE───▶ cwr ──────── likewise ───────────────▶ open
///     any ──RTO────▶ loss ──────── likewise ──────────────▶ open
///     recovery, loss ──it was not lost (RFC 4015, 3708)───▶ open, as before
///
/// Owned by its Connection; pure.
class Sender {
 public:
  enum class Phase : std::uint8_t { open, cwr, recovery, loss };

  Sender(const SenderSetup& setup, RunPool& pool);

  // The stream.
  void enqueue(std::uint64_t bytes);
  void retract(std::uint64_t bytes);
  void finish() { fin_queued_ = true; }
  /// The connection has ended: what it remembered of transmissions is others' to use.
  void forget() {
    board_.clear();
    forgotten_ = true;
  }

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
  /// By somebody who does not remember when.
  void syn_was_sent(Time now) {
    nxt_ = max_ = 1;
    update_timer(now);
  }
  /// The path carries only so much: RFC 1191 §6.3, RFC 8201 §5.3. What is in flight was dropped.
  void on_path_mss(std::uint32_t mss_bytes, Time now);

  // Retransmission or persist (RFC 9293 §3.8.1, §3.8.6.1), reordering and tail loss probe (RFC
  // 8985).
  [[nodiscard]] Time deadline() const {
    return std::min({deadline_, reorder_deadline_, probe_deadline_});
  }
  /// Call when now >= deadline(). Returns how many times it has now fired without an answer.
  std::uint32_t on_deadline(Time now);
  /// After anything that may have opened or closed a way to send.
  void update_timer(Time now);
  /// The SYN-ACK was lost, the peer says by repeating its SYN: it may go out again now.
  void repeat_syn();
  /// When the pacer lets go what it may be holding back.
  [[nodiscard]] Time release_at() const { return release_at_; }
  void released(Time now) {
    if (now >= release_at_) release_at_ = Time::never();
  }

  [[nodiscard]] Seq seq_of(Position position) const {
    return iss_ + static_cast<std::uint32_t>(position);
  }
  /// Where a segment without payload stands: after everything sent, but within the window, or the
  /// peer would find it unacceptable.
  [[nodiscard]] Position bare_position() const {
    return std::min(max_, std::max(una_, window_edge_));
  }
  /// What the peer most likely expects next: only a reset with that number is believed at once (RFC
  /// 5961 §3).
  [[nodiscard]] Position reset_position() const { return unanswered_ > 0 ? una_ : nxt_; }
  [[nodiscard]] Position una() const { return una_; }
  [[nodiscard]] Position nxt() const { return nxt_; }
  [[nodiscard]] Position max() const { return max_; }
  [[nodiscard]] Position end() const { return end_; }
  [[nodiscard]] bool fin_queued() const { return fin_queued_; }
  [[nodiscard]] bool fin_acked() const { return fin_queued_ && una_ == end_ + 1; }
  [[nodiscard]] bool timer_fired_unanswered() const { return unanswered_ > 0; }
  [[nodiscard]] std::uint32_t mss_bytes() const { return mss_; }
  [[nodiscard]] std::uint32_t window_bytes() const;
  [[nodiscard]] std::uint32_t in_flight_bytes() const;  ///< RFC 6675 §4, pipe
  [[nodiscard]] std::uint32_t cwnd_bytes() const;       ///< in a reduction: what PRR allows now
  [[nodiscard]] Phase phase() const { return phase_; }
  [[nodiscard]] const Scoreboard& scoreboard() const { return board_; }
  [[nodiscard]] const CongestionControl& congestion() const { return congestion_; }
  [[nodiscard]] const RttEstimator& rtt() const { return rtt_; }
  [[nodiscard]] const SenderCounters& counters() const { return counters_; }
  /// The window was reduced, for whatever reason: where ECN was agreed on, the next new data says
  /// so (RFC 3168 §6.1.2).
  [[nodiscard]] bool owes_cwr() const { return owes_cwr_; }
  void check() const;  ///< the invariants

 private:
  enum class Timer : std::uint8_t { none, retransmit, persist };

  /// What one acknowledgement tells.
  struct Feedback {
    std::uint32_t acked_bytes = 0;
    std::uint32_t delivered_bytes = 0;
    std::uint32_t lost_bytes = 0;
    std::optional<Duration> rtt;
    bool advances = false;
    bool sacked = false;  ///< something new
    bool dsack = false;
    bool repeated = false;      ///< it covers something that was sent twice
    bool was_reducing = false;  ///< before it
    bool was_loss = false;
    DeliveryRate::Rate rate;
  };

  /// The last reduction, until it is known that it was right: RFC 3522, 3708, 4015.
  struct Undo {
    bool armed = false;
    Position marker = 0;               // una at the reduction
    std::uint64_t repeated_bytes = 0;  // and not told by D-SACK to have been needless
    bool repeated = false;
    Time first_repeat_at;
  };

  /// The tail loss probe in flight: RFC 8985 §7.3.
  struct TailProbe {
    bool due = false;  // to be sent next
    bool out = false;
    bool retransmission = false;
    Position end = 0;
  };

  // What to send (sender.cpp).
  [[nodiscard]] Position last() const { return end_ + (fin_queued_ ? 1 : 0); }
  [[nodiscard]] std::uint32_t flight_bytes() const;
  [[nodiscard]] bool idle_since_rto(Time now) const;
  [[nodiscard]] std::uint32_t allowance_bytes(Time now) const;
  [[nodiscard]] std::uint32_t segment_bytes(std::uint32_t allowance, std::uint32_t parts) const;
  [[nodiscard]] std::uint32_t awaited_bytes(std::uint32_t allowance) const;
  [[nodiscard]] Chunk chunk(Position begin, std::uint64_t payload_bytes, bool fin) const;
  [[nodiscard]] std::optional<Chunk> repeat(Position begin, Position end) const;
  [[nodiscard]] std::optional<Chunk> lost(Time now) const;
  [[nodiscard]] std::optional<Chunk> tail_probe(Time now) const;
  [[nodiscard]] std::optional<Chunk> pending(Time now, bool forced) const;
  void sent_syn(Time now);
  void sent_again(const Chunk& chunk, Position end, Time now);
  void sent_new(const Chunk& chunk, Position end, Time now);
  void set_mss(std::uint32_t mss_bytes);

  // Acknowledgements (sender_acks.cpp).
  void take_delivered(const AckIn& ack, Position position, Feedback& feedback, Time now);
  void take_sacks(const AckIn& ack, Position before, Feedback& feedback, Time now);
  void take_without_sack(const AckIn& ack, bool window_changed, Feedback& feedback);
  void take_arrival(const Run& piece, const AckIn& ack, Feedback& feedback, Time now);
  void take_rtt(const AckIn& ack, Feedback& feedback, Time now);
  void take_advance(Position position, Time now);
  void take_tail_probe(const AckIn& ack, const Feedback& feedback, Time now);
  void steer(const Feedback& feedback, Time now);
  void pace(Time now);

  // Loss and what follows from it (sender_recovery.cpp).
  void detect_loss(Feedback& feedback, Time now);
  void detect_loss_without_sack(Feedback& feedback);
  void change_phase(const AckIn& ack, const Feedback& feedback, Time now);
  void enter_recovery(Time now);
  void enter_cwr(Time now);
  void reduce(CongestionCause cause, Time now);
  void leave_reduction(Time now);
  void open_phase();
  void loss_phase();
  [[nodiscard]] bool was_spurious(const AckIn& ack, const Feedback& feedback, Time now) const;
  void undo(Time now);
  void arm_undo();
  void on_timeout(Time now);
  void take_for_lost(Time now);
  bool suspect_black_hole(Time now);

  // Timers (sender_timers.cpp).
  [[nodiscard]] Duration persist_interval() const;
  [[nodiscard]] bool wants_tail_probe() const;
  void schedule_tail_probe(Time now);
  void arm(Timer timer, Time deadline);

  [[nodiscard]] bool reducing() const { return phase_ == Phase::recovery || phase_ == Phase::cwr; }
  [[nodiscard]] Duration rtt_min() const {
    return rtt_min_.has_sample() ? rtt_min_.get() : Duration{};
  }
  /// Whether what the timestamp echo answers was sent before that time.
  [[nodiscard]] static bool echo_before(const AckIn& ack, Time sent_at, Time now);

  const Seq iss_;
  const std::uint32_t mss_agreed_;
  const std::uint32_t mss_base_;
  const std::uint32_t segment_bytes_wanted_;
  const bool sack_;
  const bool pacing_;
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
  bool forgotten_ = false;

  // The handshake: the SYN is not on the scoreboard.
  bool syn_again_ = false;
  bool syn_repeated_ = false;
  std::optional<Time> syn_sent_at_;

  // Loss recovery.
  Phase phase_ = Phase::open;
  bool retransmit_now_ = false;  // what is lost first goes next, whatever the congestion window
  bool owes_cwr_ = false;
  std::uint32_t duplicates_ = 0;       // in a row, without SACK
  std::uint32_t duplicate_bytes_ = 0;  // that these tell to have arrived
  std::uint32_t lost_between_ = 0;     // found by the timer since the last acknowledgement
  std::uint32_t flight_before_ = 0;    // outstanding before the acknowledgement that is being taken
  std::uint32_t last_advance_ = 0;     // bytes that the last cumulative acknowledgement moved
  std::uint32_t prr_window_ = 0;
  Position recover_ = 0;  // nxt_ when the phase was entered
  Scoreboard board_;
  Rack rack_;
  Prr prr_;
  Undo undo_;
  TailProbe tail_probe_;

  Timer timer_ = Timer::none;
  bool forced_ = false;  // the persist timer fired: send at least something
  std::uint8_t persist_back_offs_ = 0;
  std::uint32_t unanswered_ = 0;  // fires in a row without an answer
  Time deadline_ = Time::never();
  Time reorder_deadline_ = Time::never();
  Time probe_deadline_ = Time::never();
  Time release_at_ = Time::never();
  Time last_sent_;
  Time mss_raise_at_ = Time::never();

  // How much of the congestion window was in use (RFC 7661): the peak in the last window.
  std::uint32_t flight_peak_ = 0;
  Position flight_peak_until_ = 0;

  RttEstimator rtt_;
  WindowedMin rtt_min_;
  DeliveryRate rate_;
  transport::Pacer pacer_;
  CongestionControl congestion_;
  SenderCounters counters_;
};

}  // namespace strictsend::tcp
