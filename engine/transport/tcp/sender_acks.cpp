// SPDX-License-Identifier: Apache-2.0
// What acknowledgements do to a Sender: window, round trips, congestion, loss recovery.
#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "engine/transport/tcp/sender.hpp"

namespace strictsend::tcp {

namespace {
constexpr std::uint32_t duplicates_for_fast_retransmit = 3;  // RFC 5681 §3.2
}  // namespace

AckKind Sender::on_ack(const AckIn& ack, Time now) {
  STRICTSEND_ASSERT(!acks_unsent(ack.ack));
  const Seq una = seq_of(una_);
  if (ack.ack.before(una)) return AckKind::old;
  const Position position = una_ + ack.ack.since(una);

  bool window_changed = false;
  if (ack.window_valid) {
    const Position edge = position + ack.window_bytes;
    window_changed = edge != window_edge_;
    window_edge_ = edge;
    window_bytes_max_ = std::max(window_bytes_max_, ack.window_bytes);
  }
  if (position > una_) {
    take_rtt(ack, now);
    on_advance(position, now);
    check();
    return AckKind::advanced;
  }
  // While probing, any answer shows that the peer lives (RFC 9293 §3.8.6.1).
  if (timer_ == Timer::persist) unanswered_ = 0;
  // RFC 5681 §2, definition of a duplicate acknowledgement.
  if (nxt_ > una_ && established_ && ack.bare && !window_changed) on_duplicate(now);
  update_timer(now);
  check();
  return AckKind::current;
}

void Sender::take_rtt(const AckIn& ack, Time now) {
  const Position position = una_ + ack.ack.since(seq_of(una_));
  if (timing_) {
    if (position < timed_end_) return;
    timing_ = false;
    rtt_.sample(now - timed_at_);
  } else if (ack.echoed_rtt) {
    rtt_.sample(*ack.echoed_rtt, flight_bytes() / (2 * mss_));
  }
}

void Sender::on_advance(Position to, Time now) {
  const std::uint32_t acked = static_cast<std::uint32_t>(to - una_);
  una_ = to;
  nxt_ = std::max(nxt_, una_);
  unanswered_ = 0;
  forced_ = false;
  last_advance_ = acked;
  bool restart = true;
  if (in_recovery_) {
    restart = on_advance_in_recovery(acked, now);
  } else {
    duplicates_ = 0;
    retransmit_now_ = false;
    if (established_) {
      // What waited for a longer segment was not left unused.
      const std::uint32_t peak = flight_peak_ + awaited_bytes(congestion_.cwnd_bytes());
      congestion_.on_ack({.now = now,
                          .acked_bytes = acked,
                          .flight_peak_bytes = peak,
                          .after_timeout = una_ <= recover_});
    }
  }
  // RFC 6298 §5.2, 5.3. Probing goes on with its back-off while the window stays closed.
  if (restart && timer_ == Timer::retransmit) arm(Timer::none, Time::never());
  update_timer(now);
}

void Sender::on_duplicate(Time now) {
  ++duplicates_;
  ++counters_.duplicate_acks;
  if (in_recovery_) {
    recovery_window_ += mss_;  // RFC 6582 §3.2 step 2, a segment has left the network
    return;
  }
  if (duplicates_ != duplicates_for_fast_retransmit || nxt_ != max_) return;
  // RFC 6582 §3.2 step 2: duplicates of what a recovery sent twice are no loss. The exception is
  // §4.1: if the last acknowledgement moved by little, the receiver had kept little, so they are.
  const bool beyond = una_ > recover_;
  const bool kept_little = congestion_.cwnd_bytes() > mss_ && last_advance_ <= 4 * mss_;
  if (beyond || kept_little) enter_recovery(now);
}

void Sender::enter_recovery(Time now) {
  // What limited transmit let out does not count (RFC 5681 §3.2 step 2); it is what exceeds cwnd.
  congestion_.on_congestion(CongestionCause::loss,
                            std::min(flight_bytes(), congestion_.cwnd_bytes()), now);
  recovery_window_ = congestion_.ssthresh_bytes() + duplicates_for_fast_retransmit * mss_;
  recover_ = max_;
  in_recovery_ = true;
  first_partial_ack_ = true;
  retransmit_now_ = true;
  ++counters_.fast_retransmits;
}

bool Sender::on_advance_in_recovery(std::uint32_t acked, Time now) {
  if (una_ >= recover_) {  // full acknowledgement, RFC 6582 §3.2 step 3
    in_recovery_ = false;
    retransmit_now_ = false;
    duplicates_ = 0;
    congestion_.on_recovered(flight_bytes(), now);
    return true;
  }
  // Partial: the next hole starts at una. The timer starts anew only for the first one, so that
  // many losses in one window end in slow start rather than in one retransmission a round trip.
  recovery_window_ = recovery_window_ > acked ? recovery_window_ - acked : 0;
  if (acked >= mss_) recovery_window_ += mss_;
  recovery_window_ = std::max(recovery_window_, mss_);
  retransmit_now_ = true;
  return std::exchange(first_partial_ack_, false);
}

}  // namespace strictsend::tcp
