// SPDX-License-Identifier: Apache-2.0
// How a Sender finds out about loss, and what it makes of it: recovery, time-outs, and taking back
// what turned out to be no loss.
#include <algorithm>

#include "base/assert.hpp"
#include "engine/transport/tcp/sender.hpp"

namespace strictsend::tcp {

namespace {
constexpr std::uint32_t dup_thresh = 3;  // RFC 5681 §3.2
/// With so many time-outs in a row, packets of this size may be what does not get through.
constexpr std::uint32_t timeouts_of_a_black_hole = 2;
constexpr std::uint32_t mss_floor_bytes = 512;
constexpr std::uint32_t mss_reductions_max = 16;
constexpr Duration mss_raise_interval = seconds(600);  // RFC 8899 §5.1.1, PMTU_RAISE_TIMER
}  // namespace

bool Sender::echo_before(const AckIn& ack, Time sent_at, Time now) {
  if (!ack.echoed_rtt) return false;
  const std::int64_t echoed =
      now.ns / clock_granularity.ns - ack.echoed_rtt->ns / clock_granularity.ns;
  return echoed < sent_at.ns / clock_granularity.ns;
}

void Sender::detect_loss(Feedback& feedback, Time now) {
  reorder_deadline_ = Time::never();
  if (una_ == 0) return;
  if (!sack_) {
    detect_loss_without_sack(feedback);
    return;
  }
  rack_.update_window(feedback.dsack, una_, nxt_);
  const bool eager = phase_ == Phase::recovery || phase_ == Phase::loss ||
                     board_.sacked_bytes() > (dup_thresh - 1) * mss_;
  const Rack::Detected detected = rack_.detect(board_, now, eager, rtt_min(), rtt_.srtt());
  feedback.lost_bytes += detected.lost_bytes;
  reorder_deadline_ = detected.again_at;
}

void Sender::detect_loss_without_sack(Feedback& feedback) {
  if (phase_ == Phase::recovery) {
    // RFC 6582 §3.2 (3): a partial acknowledgement ends before the next hole.
    if (!feedback.advances || una_ >= recover_) return;
    if (board_.lost_bytes() == 0) feedback.lost_bytes += board_.lose_head(mss_);
    retransmit_now_ = true;
    return;
  }
  if (feedback.advances || duplicates_ != dup_thresh || board_.lost_bytes() > 0) return;
  // RFC 6582 §3.2 step 2: duplicates of what a recovery sent twice are no loss. The exception is
  // §4.1: if the last acknowledgement moved by little, the receiver had kept little, so they are.
  const bool kept_little = congestion_.cwnd_bytes() > mss_ && last_advance_ <= 4 * mss_;
  if (una_ <= recover_ && !kept_little) return;
  if (phase_ == Phase::loss) phase_ = Phase::open;
  const std::uint32_t arrived = duplicates_ * mss_;
  if (arrived < board_.in_flight_bytes()) duplicate_bytes_ = arrived;
  feedback.lost_bytes += board_.lose_head(mss_);
}

void Sender::change_phase(const AckIn& ack, const Feedback& feedback, Time now) {
  if (undo_.armed && was_spurious(ack, feedback, now)) undo(now);
  if (phase_ != Phase::open && una_ >= recover_) leave_reduction(now);
  const bool losing = board_.lost_bytes() > 0 && phase_ != Phase::recovery && phase_ != Phase::loss;
  if (losing) {
    enter_recovery(now);
  } else if (ack.congestion_echo && phase_ == Phase::open && una_ > recover_) {
    // Up to recover_ the peer cannot have seen CWR, and echoes what has been answered.
    enter_cwr(now);
  }
}

void Sender::arm_undo() {
  undo_ = Undo{};
  undo_.armed = true;
  undo_.marker = una_;
}

void Sender::reduce(CongestionCause cause, Time now) {
  // What limited transmit let out does not count (RFC 5681 §3.2 step 2); it is what exceeds cwnd.
  const std::uint32_t flight = std::min(flight_before_, congestion_.cwnd_bytes());
  congestion_.on_congestion(cause, flight, now);
  prr_.begin(flight_before_);
  prr_window_ = std::max(in_flight_bytes(), mss_);
  recover_ = nxt_;
  owes_cwr_ = true;
  tail_probe_ = {};
  probe_deadline_ = Time::never();
}

void Sender::enter_recovery(Time now) {
  // An ECN reduction of this window goes on as it is.
  if (phase_ == Phase::open) {
    reduce(CongestionCause::loss, now);
    arm_undo();
  }
  recover_ = nxt_;
  phase_ = Phase::recovery;
  retransmit_now_ = true;
  ++counters_.fast_retransmits;
}

void Sender::enter_cwr(Time now) {
  reduce(CongestionCause::ecn, now);
  undo_ = {};  // the network has said it
  phase_ = Phase::cwr;
  ++counters_.ecn_reductions;
  if (una_ >= recover_) leave_reduction(now);  // nothing is in flight that could bring it down
}

void Sender::leave_reduction(Time now) {
  if (reducing()) congestion_.on_recovered(in_flight_bytes(), now);
  if (phase_ != Phase::cwr) rack_.recovery_ended();
  open_phase();
}

void Sender::open_phase() {
  phase_ = Phase::open;
  retransmit_now_ = false;
  duplicates_ = duplicate_bytes_ = 0;
}

/// What is marked lost by now goes again, the first of it at once.
void Sender::loss_phase() {
  phase_ = Phase::loss;
  recover_ = nxt_;
  retransmit_now_ = true;
  duplicates_ = duplicate_bytes_ = 0;
  tail_probe_ = {};
  probe_deadline_ = reorder_deadline_ = Time::never();
}

/// An acknowledgement that answers the first transmission of what was sent again (RFC 3522 §3.2),
/// or a D-SACK for all that was (RFC 3708 §3): no loss.
bool Sender::was_spurious(const AckIn& ack, const Feedback& feedback, Time now) const {
  if (!undo_.repeated) return false;
  if (feedback.advances && (phase_ == Phase::recovery || phase_ == Phase::loss) &&
      echo_before(ack, undo_.first_repeat_at, now))
    return true;
  return feedback.dsack && undo_.repeated_bytes == 0;
}

void Sender::undo(Time now) {
  congestion_.undo(now);
  rack_.was_reordered();
  board_.unlose();
  undo_ = {};
  ++counters_.undone;
  open_phase();
  recover_ = una_;
}

/// RFC 6298 §5.4 to 5.6, RFC 8985 §6.3.
void Sender::on_timeout(Time now) {
  ++counters_.rto_fires;
  rtt_.back_off();
  arm(Timer::none, Time::never());
  if (!established_) {
    syn_again_ = true;
    return;
  }
  take_for_lost(now);
  update_timer(now);
}

/// Nothing has come back for so long that what is outstanding cannot be on its way any more.
void Sender::take_for_lost(Time now) {
  const bool smaller = suspect_black_hole(now);
  congestion_.on_timeout(flight_bytes(), unanswered_ > 1, now);
  owes_cwr_ = true;
  // What stands at una and was SACKed has been dropped again: RFC 2018 §8.
  if (!board_.empty() && board_.head()->state == RunState::sacked) board_.forget_sacks();
  const bool all = !sack_ || rack_.rtt() == Duration{};
  const Position una = una_;
  board_.mark_lost([](const Run&) { return true; },
                   [&](const Run& run) {
                     return all || run.begin == una ||
                            rack_.expired(run, now, rtt_min(), rtt_.srtt());
                   });
  if (smaller) board_.join_lost();
  if (phase_ != Phase::loss) arm_undo();
  loss_phase();
}

/// Whether packets are smaller from now on.
bool Sender::suspect_black_hole(Time now) {
  if (mss_base_ == 0 || unanswered_ < timeouts_of_a_black_hole) return false;
  const std::uint32_t smaller = mss_ > mss_base_ ? mss_base_ : mss_floor_bytes;
  if (mss_ <= smaller || flight_bytes() <= smaller) return false;
  set_mss(smaller);
  mss_raise_at_ = now + mss_raise_interval;
  return true;
}

void Sender::on_path_mss(std::uint32_t mss_bytes, Time now) {
  const std::uint32_t smaller = std::max(mss_bytes, mss_floor_bytes);
  if (smaller >= mss_ || !established_) return;  // what is in flight is of that size already
  // Each lets everything in flight out again: a forger who sees packets must not count down.
  if (counters_.mss_reductions >= mss_reductions_max) return;
  set_mss(smaller);
  mss_raise_at_ = now + mss_raise_interval;
  // It was size, not congestion, so the window stays as it is; a reduction under way is carried
  // out.
  if (reducing()) congestion_.on_recovered(in_flight_bytes(), now);
  undo_ = {};
  duplicates_ = duplicate_bytes_ = 0;
  board_.lose_all();
  board_.join_lost();
  if (board_.lost_bytes() == 0) return;
  loss_phase();
  check();
}

}  // namespace strictsend::tcp
