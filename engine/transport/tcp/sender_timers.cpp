// SPDX-License-Identifier: Apache-2.0
// A Sender's timers: retransmission and persist, reordering, tail loss probe.
#include <algorithm>

#include "base/assert.hpp"
#include "engine/transport/tcp/sender.hpp"

namespace strictsend::tcp {

namespace {
/// The longest that a receiver may delay the acknowledgement of a lone segment (Linux's
/// TCP_RTO_MIN; RFC 8985 §7.2 TLP.max_ack_delay).
constexpr Duration ack_delay_max_assumed = milliseconds(200);
constexpr Duration probe_timeout_without_rtt = seconds(1);  // RFC 8985 §7.2
/// Receivers' and our own timers are no finer (Linux's TCP_TIMEOUT_MIN).
constexpr Duration probe_timeout_slack = milliseconds(4);
}  // namespace

void Sender::arm(Timer timer, Time deadline) {
  timer_ = timer;
  deadline_ = deadline;
}

Duration Sender::persist_interval() const {
  const Duration limit = rtt_.rto_max();
  Duration interval = rtt_.base_rto();
  for (std::uint8_t i = 0; i < persist_back_offs_ && interval < limit; ++i)
    interval = interval * 2;
  return std::min(interval, limit);
}

void Sender::update_timer(Time now) {
  // Of data in flight, none at all fits into a window that was taken back: that is probed.
  const bool answerable = una_ == 0 || una_ >= end_ || window_bytes() > 0;
  if (nxt_ > una_ && answerable) {  // RFC 6298 §5.1
    if (timer_ != Timer::retransmit) arm(Timer::retransmit, now + rtt_.rto());
    return;
  }
  probe_deadline_ = Time::never();
  if (established_ && nxt_ != last() && nxt_ == una_ && pending(now, false)) {
    arm(Timer::none, Time::never());
  } else if (established_ && last() > una_) {
    if (timer_ == Timer::persist) return;
    persist_back_offs_ = 0;
    arm(Timer::persist, now + persist_interval());
  } else {
    arm(Timer::none, Time::never());
  }
}

/// RFC 8985 §7.2: the end of a flight, of which nothing is known to be missing.
bool Sender::wants_tail_probe() const {
  return sack_ && established_ && (phase_ == Phase::open || phase_ == Phase::cwr) &&
         !tail_probe_.out && nxt_ > una_ && board_.sacked_bytes() == 0 &&
         board_.lost_bytes() == 0 && window_bytes() > 0;
}

void Sender::schedule_tail_probe(Time now) {
  probe_deadline_ = Time::never();
  if (!wants_tail_probe()) return;
  Duration timeout = probe_timeout_without_rtt;
  if (rtt_.has_sample()) {
    const Duration slack = flight_bytes() <= mss_ ? ack_delay_max_assumed : probe_timeout_slack;
    timeout = rtt_.srtt() * 2 + slack;
  }
  const Time rto_at = timer_ == Timer::retransmit ? deadline_ : now + rtt_.rto();
  probe_deadline_ = std::min(now + timeout, rto_at);
}

std::uint32_t Sender::on_deadline(Time now) {
  STRICTSEND_ASSERT(now >= deadline());
  if (now >= reorder_deadline_) {
    reorder_deadline_ = Time::never();
    Feedback found;
    flight_before_ = flight_bytes();
    detect_loss(found, now);
    lost_between_ += found.lost_bytes;
    if (board_.lost_bytes() > 0 && phase_ != Phase::loss && phase_ != Phase::recovery)
      enter_recovery(now);
  }
  if (now >= probe_deadline_) {
    probe_deadline_ = Time::never();
    tail_probe_.due = wants_tail_probe();
    if (tail_probe_.due && tail_probe(now)) {
      arm(Timer::retransmit, now + rtt_.rto());  // RFC 8985 §7.3: it waits for the probe's answer
    } else {
      tail_probe_.due = false;
    }
  }
  if (now >= deadline_) {
    ++unanswered_;
    if (timer_ == Timer::persist) {
      if (nxt_ > una_ && phase_ != Phase::loss)
        take_for_lost(now);  // the window was taken back from under it
      forced_ = true;
      persist_back_offs_ = static_cast<std::uint8_t>(std::min(persist_back_offs_ + 1, 31));
      arm(Timer::persist, now + persist_interval());
    } else {
      on_timeout(now);
    }
  }
  check();
  return unanswered_;
}

}  // namespace strictsend::tcp
