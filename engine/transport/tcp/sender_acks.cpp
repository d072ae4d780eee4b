// SPDX-License-Identifier: Apache-2.0
// What acknowledgements tell a Sender: window, arrivals, round trips, congestion.
#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "base/clock.hpp"
#include "engine/transport/tcp/sender.hpp"

namespace strictsend::tcp {

namespace {
/// Of cwnd / srtt: room to grow by in slow start, and to make up for late timers otherwise (Linux's
/// tcp_pacing_ss_ratio and tcp_pacing_ca_ratio).
constexpr std::uint64_t pacing_percent_slow_start = 200;
constexpr std::uint64_t pacing_percent_avoidance = 120;
/// May always go at once: RFC 6928 allows as much to somebody of whom nothing is known.
constexpr std::uint32_t pacing_burst_segments = 10;
}  // namespace

AckKind Sender::on_ack(const AckIn& ack, Time now) {
  STRICTSEND_ASSERT(!acks_unsent(ack.ack));
  const bool old = ack.ack.before(seq_of(una_));
  const Position position = old ? una_ : una_ + ack.ack.since(seq_of(una_));

  bool window_changed = false;
  if (ack.window_valid && !old) {
    const Position edge = position + ack.window_bytes;
    window_changed = edge != window_edge_;
    window_edge_ = edge;
    window_bytes_max_ = std::max(window_bytes_max_, ack.window_bytes);
  }
  Feedback feedback;
  feedback.acked_bytes = static_cast<std::uint32_t>(position - una_);
  feedback.advances = position > una_;
  feedback.was_reducing = reducing();
  flight_before_ = flight_bytes();
  feedback.was_loss = phase_ == Phase::loss;
  take_delivered(ack, position, feedback, now);
  if (!sack_ && !old) take_without_sack(ack, window_changed, feedback);
  feedback.rate = rate_.end(feedback.delivered_bytes, now, rtt_min());
  take_rtt(ack, feedback, now);
  if (feedback.advances) {
    take_advance(position, now);
  } else if (timer_ == Timer::persist && !old) {
    unanswered_ = 0;  // while probing, any answer shows that the peer lives (RFC 9293 §3.8.6.1)
  }
  if (established_) {
    take_tail_probe(ack, feedback, now);
    detect_loss(feedback, now);
    change_phase(ack, feedback, now);
    steer(feedback, now);
  }
  if (feedback.advances || feedback.sacked) {
    tail_probe_.due = false;  // the answer that it was to ask for has come by itself
    schedule_tail_probe(now);
  }
  update_timer(now);
  check();
  if (old) return AckKind::old;
  return feedback.advances ? AckKind::advanced : AckKind::current;
}

void Sender::take_arrival(const Run& piece, const AckIn& ack, Feedback& feedback, Time now) {
  feedback.delivered_bytes += piece.bytes;
  rate_.piece(piece);
  feedback.repeated = feedback.repeated || piece.retransmitted;
  if (!piece.retransmitted) {
    const Duration rtt = now - piece.stamp.sent_at;
    feedback.rtt = feedback.rtt ? std::min(*feedback.rtt, rtt) : rtt;
    rtt_min_.sample(rtt, now);  // RFC 8985 §6.2 step 1
  }
  rack_.delivered(piece, now, rtt_min(), echo_before(ack, piece.stamp.sent_at, now));
}

void Sender::take_delivered(const AckIn& ack, Position position, Feedback& feedback, Time now) {
  rate_.begin();
  const Position before = una_;
  board_.ack_to(position, [&](const Run& piece, bool was_sacked) {
    if (!was_sacked) take_arrival(piece, ack, feedback, now);
  });
  // Karn's rule: what came before waited for what was sent twice.
  if (feedback.repeated) feedback.rtt.reset();
  if (before == 0 && position > 0 && !syn_repeated_ && syn_sent_at_)
    feedback.rtt = now - *syn_sent_at_;
  if (sack_) take_sacks(ack, std::max(position, before), feedback, now);
}

void Sender::take_sacks(const AckIn& ack, Position una, Feedback& feedback, Time now) {
  const Seq nxt = seq_of(nxt_);
  const Seq base = seq_of(una);
  const SackBlock* first = ack.sacks.begin();
  for (const SackBlock& block : ack.sacks) {
    if (!block.begin.before(block.end) || nxt.before(block.end)) continue;
    const bool inside_second = &block == first && ack.sacks.count > 1 &&
                               first[1].begin.at_or_before(block.begin) &&
                               block.end.at_or_before(first[1].end);
    const bool below = block.end.at_or_before(ack.ack);
    if (&block == first && (below || inside_second)) {  // RFC 2883 §4
      feedback.dsack = true;
      // What was sent again since the reduction, no more: RFC 3708 §3.
      const Seq marker = seq_of(undo_.marker);
      if (undo_.armed && marker.before(block.end)) {
        const Seq begin = block.begin.before(marker) ? marker : block.begin;
        undo_.repeated_bytes -=
            std::min<std::uint64_t>(undo_.repeated_bytes, block.end.since(begin));
      }
      continue;
    }
    if (block.begin.before(base)) continue;
    board_.sack(una + block.begin.since(base), una + block.end.since(base), [&](const Run& piece) {
      feedback.sacked = true;
      take_arrival(piece, ack, feedback, now);
    });
  }
}

/// Each duplicate tells of one segment that has arrived (RFC 5681 §3.2), until the cumulative
/// acknowledgement covers it.
void Sender::take_without_sack(const AckIn& ack, bool window_changed, Feedback& feedback) {
  if (feedback.advances) {
    const std::uint32_t beyond = feedback.acked_bytes > mss_ ? feedback.acked_bytes - mss_ : 0;
    const std::uint32_t known = std::min(duplicate_bytes_, beyond);
    duplicate_bytes_ -= known;
    feedback.delivered_bytes -= std::min(feedback.delivered_bytes, known);
    if (phase_ != Phase::recovery) duplicates_ = duplicate_bytes_ = 0;
    return;
  }
  // RFC 5681 §2, definition of a duplicate acknowledgement.
  if (nxt_ <= una_ || !established_ || !ack.bare || window_changed) return;
  ++duplicates_;
  ++counters_.duplicate_acks;
  if (phase_ == Phase::loss) return;  // they answer what was sent twice
  if (duplicate_bytes_ + mss_ < board_.in_flight_bytes()) {
    duplicate_bytes_ += mss_;
    feedback.delivered_bytes += mss_;
  }
}

void Sender::take_rtt(const AckIn& ack, Feedback& feedback, Time now) {
  // Of a cookie nobody knows how often the answer to it was lost, and its echo holds options.
  if (una_ == 0 && !syn_sent_at_) return;
  if (!feedback.rtt && feedback.advances && ack.echoed_rtt) {
    rtt_.sample(*ack.echoed_rtt, flight_bytes() / (2 * mss_));
    return;
  }
  if (feedback.rtt) rtt_.sample(*feedback.rtt, flight_bytes() / (2 * mss_));
  if (una_ == 0 && feedback.rtt) rtt_min_.sample(*feedback.rtt, now);
}

void Sender::take_advance(Position position, Time now) {
  last_advance_ = static_cast<std::uint32_t>(position - una_);
  una_ = position;
  nxt_ = std::max(nxt_, una_);
  unanswered_ = 0;
  forced_ = false;
  // RFC 6298 §5.2, 5.3. Probing goes on with its back-off while the window stays closed.
  if (timer_ == Timer::retransmit) arm(Timer::none, Time::never());
  if (now >= mss_raise_at_ && phase_ == Phase::open) {
    mss_raise_at_ = Time::never();
    set_mss(mss_agreed_);
  }
}

/// RFC 8985 §7.4.2.
void Sender::take_tail_probe(const AckIn& ack, const Feedback& feedback, Time now) {
  if (!tail_probe_.out || ack.ack.before(seq_of(tail_probe_.end))) return;
  const bool repeated = tail_probe_.retransmission;
  const bool beyond = una_ > tail_probe_.end;
  const bool answered_twice = !feedback.advances && ack.bare && ack.sacks.count == 0;
  if (repeated && !feedback.dsack && !answered_twice && !beyond) return;  // wait for more
  tail_probe_ = {};
  // The probe alone has filled the hole: there was a loss, and it counts.
  if (repeated && beyond && !feedback.dsack && phase_ == Phase::open) {
    reduce(CongestionCause::loss, now);
    congestion_.on_recovered(in_flight_bytes(), now);
  }
}

void Sender::steer(const Feedback& feedback, Time now) {
  if (reducing()) {
    const bool safe = feedback.advances && feedback.lost_bytes == 0;
    prr_window_ = std::max(prr_.on_ack(feedback.delivered_bytes, in_flight_bytes(),
                                       congestion_.ssthresh_bytes(), mss_, safe),
                           mss_);
  }
  if (feedback.delivered_bytes > 0) {
    // What waited for a longer segment was not left unused.
    const std::uint32_t peak = flight_peak_ + awaited_bytes(congestion_.cwnd_bytes());
    congestion_.on_ack({.now = now,
                        // What was SACKed before has had its effect (Linux's acked_sacked).
                        .acked_bytes = std::min(feedback.acked_bytes, feedback.delivered_bytes),
                        .delivered_bytes = feedback.delivered_bytes,
                        .lost_bytes = feedback.lost_bytes + std::exchange(lost_between_, 0),
                        .in_flight_bytes = in_flight_bytes(),
                        .flight_peak_bytes = peak,
                        .rtt = feedback.rtt,
                        .rtt_min = rtt_min(),
                        .srtt = rtt_.srtt(),
                        .round_start = feedback.rate.round_start,
                        .in_recovery = feedback.was_reducing || reducing(),
                        .after_timeout = feedback.was_loss || phase_ == Phase::loss,
                        .delivered_total = rate_.delivered(),
                        .delivery_rate = feedback.rate.bytes_per_second,
                        .application_limited = feedback.rate.application_limited});
  }
  if (pacing_ && rtt_.has_sample()) pace(now);
}

void Sender::pace(Time now) {
  std::uint64_t rate = congestion_.pacing_rate();
  if (rate == 0) {
    const std::uint32_t cwnd = congestion_.cwnd_bytes();
    const std::uint64_t percent =
        cwnd < congestion_.ssthresh_bytes() ? pacing_percent_slow_start : pacing_percent_avoidance;
    const auto srtt = static_cast<std::uint64_t>(std::max<std::int64_t>(rtt_.srtt().ns, 1));
    rate = std::max<std::uint64_t>(std::uint64_t{cwnd} * percent * 10'000'000U / srtt, mss_);
  }
  pacer_.set(rate, std::uint64_t{pacing_burst_segments} * mss_);
  release_at_ = pacer_.allows(now) ? Time::never() : pacer_.release_at();
}

}  // namespace strictsend::tcp
