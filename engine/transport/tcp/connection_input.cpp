// SPDX-License-Identifier: Apache-2.0
// What a received segment does to a Connection: RFC 9293 §3.10.7.4, step by step, with RFC 5961 and
// RFC 7323.
#include "base/assert.hpp"
#include "engine/transport/tcp/connection.hpp"

namespace strictsend::tcp {

namespace {

/// Answers to segments that nobody sane sends are spaced, or two confused hosts (or a forger) would
/// make an endless exchange of acknowledgements: RFC 5961 §7.
constexpr Duration challenge_interval = milliseconds(500);
/// Older than this TS.Recent proves nothing: RFC 7323 §5.5.
constexpr Duration timestamp_age_max = seconds(std::int64_t{24} * 24 * 3600);

bool timestamp_before(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::int32_t>(a - b) < 0;
}

}  // namespace

Outcome Connection::on_segment(const SegmentIn& segment, Time now) {
  Outcome outcome;
  outcome.acked_to = acked_to();
  if (state_ == State::closed) return outcome;

  // First: sequence number. A SYN that repeats the one we answered is unacceptable too.
  if (state_ == State::syn_received && segment.flags.syn && !segment.flags.ack &&
      segment.seq + 1 == receiver_.next()) {
    sender_.repeat_syn();
    return outcome;
  }
  // RFC 7323 §3.2: once agreed upon, timestamps are on every segment but a RST. A SYN is of
  // somebody who knows of no agreement.
  if (timestamps_.on && !segment.timestamps && !segment.flags.rst && !segment.flags.syn)
    return outcome;
  if (!segment.flags.rst && old_by_timestamp(segment, now)) {
    on_unacceptable(segment, outcome, now);
    return outcome;
  }
  // Nothing fits into a closed window, but its probes carry acknowledgements, and a FIN needs no
  // room.
  const bool into_closed_window = receiver_.window_bytes() == 0 && receives() &&
                                  segment.seq == receiver_.next() && !segment.flags.rst &&
                                  !segment.flags.syn;
  if (!into_closed_window && !receiver_.acceptable(segment)) {
    if (!segment.flags.rst) on_unacceptable(segment, outcome, now);
    return outcome;
  }
  // RFC 7323 §4.3: the echo is of the segment that the last acknowledgement waited for.
  if (timestamps_.on && segment.timestamps && segment.seq.at_or_before(receiver_.last_ack_sent()) &&
      !timestamp_before(segment.timestamps->value, timestamps_.recent)) {
    timestamps_.recent = segment.timestamps->value;
    timestamps_.recent_at = now;
  }
  // Second: RST.
  if (segment.flags.rst) {
    on_reset(segment, outcome, now);
    return outcome;
  }
  // Fourth: SYN.
  if (segment.flags.syn) {
    if (state_ == State::syn_received) {
      close(CloseReason::reset_by_peer, &outcome);  // back to listening
    } else {
      challenge(outcome, now);  // RFC 5961 §4
    }
    return outcome;
  }
  // Fifth: ACK.
  if (!segment.flags.ack) return outcome;
  if (!on_acknowledgement(segment, outcome, now)) return outcome;
  on_ecn(segment);
  // Seventh and eighth: text and FIN.
  if (receives()) on_text(segment, outcome, now);
  return outcome;
}

/// PAWS, RFC 7323 §5.3 R1.
bool Connection::old_by_timestamp(const SegmentIn& segment, Time now) const {
  return timestamps_.on && segment.timestamps &&
         timestamp_before(segment.timestamps->value, timestamps_.recent) &&
         now - timestamps_.recent_at < timestamp_age_max;
}

bool Connection::may_be_of(const SegmentIn& segment) const {
  if (state_ != State::syn_received) return true;
  if (!segment.flags.ack) return segment.flags.syn;
  return !sender_.acks_unsent(segment.ack) && !segment.ack.at_or_before(sender_.seq_of(0));
}

void Connection::on_unacceptable(const SegmentIn& segment, Outcome& outcome, Time now) {
  ++unacceptable_segments_;
  // A repeated FIN says that our last ACK was lost: RFC 9293 §3.10.7.4, TIME-WAIT.
  if (state_ == State::time_wait && segment.flags.fin) enter_time_wait(now);
  // Who sends text again has missed an acknowledgement; bare segments are answered sparingly.
  if (segment.payload_bytes > 0 || segment.flags.fin) {
    receiver_.require_ack();
  } else {
    challenge(outcome, now);
  }
}

void Connection::challenge(Outcome& outcome, Time now) {
  if (challenged_ && now - challenged_at_ < challenge_interval) return;
  challenged_ = true;
  challenged_at_ = now;
  ++challenge_acks_;
  outcome.reply = bare_segment(now);
  receiver_.acknowledged();
}

void Connection::on_reset(const SegmentIn& segment, Outcome& outcome, Time now) {
  // RFC 5961 §3: only a sender that knows the exact sequence number is believed.
  if (segment.seq != receiver_.next()) {
    challenge(outcome, now);
    return;
  }
  close(state_ == State::time_wait ? CloseReason::finished : CloseReason::reset_by_peer, &outcome);
}

/// Whether the segment is to be processed further.
bool Connection::on_acknowledgement(const SegmentIn& segment, Outcome& outcome, Time now) {
  if (state_ == State::syn_received) {
    if (sender_.acks_unsent(segment.ack) || segment.ack.at_or_before(sender_.seq_of(0))) {
      outcome.reply = reset_for(segment);
      return false;
    }
  } else if (sender_.acks_unsent(segment.ack) || sender_.acks_long_gone(segment.ack)) {
    challenge(outcome, now);
    return false;
  }
  AckIn ack;
  ack.ack = segment.ack;
  ack.window_bytes = std::uint32_t{segment.window} << (scaled_ ? peer_scale_ : 0);
  ack.window_valid = window_seq_.before(segment.seq) ||
                     (window_seq_ == segment.seq && window_ack_.at_or_before(segment.ack));
  ack.sacks = segment.sacks;
  ack.congestion_echo = ecn_ && segment.flags.ece;
  ack.bare = segment.payload_bytes == 0 && !segment.flags.fin;
  if (timestamps_.on && segment.timestamps->echo != 0) {
    const std::uint32_t ticks = timestamp_now(now) - segment.timestamps->echo;
    if (ticks < 0x8000'0000U) ack.echoed_rtt = clock_granularity * std::int64_t{ticks};
  }
  const Position una_before = sender_.una();
  const AckKind kind = sender_.on_ack(ack, now);
  if (kind != AckKind::old && ack.window_valid) {
    window_seq_ = segment.seq;
    window_ack_ = segment.ack;
  }
  if (kind == AckKind::advanced) progress_at_ = now;
  if (state_ == State::syn_received) {
    STRICTSEND_ASSERT(una_before == 0 && sender_.una() > 0);
    sender_.handshake_done(now);
    state_ = finish_asked_ ? State::fin_wait_1 : State::established;
    outcome.established = true;
  }
  outcome.acked_to = acked_to();
  if (outcome.acked_to >= due_from_ + config_.progress_bytes_min) {
    due_since_ = now;
    due_from_ = outcome.acked_to;
  }
  if (sender_.fin_acked() && kind == AckKind::advanced) on_own_fin_acknowledged(outcome, now);
  return state_ != State::closed;
}

void Connection::on_own_fin_acknowledged(Outcome& outcome, Time now) {
  if (state_ == State::fin_wait_1) {
    state_ = State::fin_wait_2;
  } else if (state_ == State::closing) {
    enter_time_wait(now);
  } else {
    STRICTSEND_ASSERT(state_ == State::last_ack);
    close(CloseReason::finished, &outcome);
  }
}

/// RFC 3168 §6.1.3: congestion on the way here is told until the peer says that it knows.
void Connection::on_ecn(const SegmentIn& segment) {
  if (!ecn_) return;
  if (segment.flags.cwr) congestion_echo_ = false;
  if (!segment.congestion_experienced || segment.payload_bytes == 0) return;
  congestion_echo_ = true;
  receiver_.require_ack();
}

void Connection::on_text(const SegmentIn& segment, Outcome& outcome, Time now) {
  const Receiver::Taken taken = receiver_.take(segment, now);
  if (taken.out_of_order) {
    ++out_of_order_segments_;
    outcome.reply = bare_segment(now);
    receiver_.acknowledged();
    return;
  }
  outcome.deliver_skip_bytes = taken.skip_bytes;
  outcome.deliver_bytes = taken.bytes;
  if (taken.bytes > 0 || taken.fin) progress_at_ = now;
  if (taken.fin) on_peer_fin(outcome, now);
}

void Connection::on_peer_fin(Outcome& outcome, Time now) {
  outcome.peer_closed = true;
  if (state_ == State::established) {
    state_ = State::close_wait;
  } else if (state_ == State::fin_wait_1) {
    state_ = State::closing;  // simultaneous close, our FIN is still on its way
  } else {
    enter_time_wait(now);
  }
}

}  // namespace strictsend::tcp
