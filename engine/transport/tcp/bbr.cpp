// SPDX-License-Identifier: Apache-2.0
#include "engine/transport/tcp/bbr.hpp"

#include <algorithm>

namespace strictsend::tcp {

static_assert(CongestionAware<Bbr>);

namespace {

// Gains in 256ths, so that they are integers.
constexpr std::uint32_t one = 256;
constexpr std::uint32_t high_gain =
    one * 2885 / 1000 + 1;                               // §4.3.2.1: 2/ln 2, to double each round
constexpr std::uint32_t drain_gain = one * 1000 / 2885;  // §4.3.3: its inverse
constexpr std::uint32_t probe_cwnd_gain = 2 * one;       // §4.3.4.1
// §4.3.4.1: probe for more, drain what that queued, cruise.
constexpr std::array<std::uint32_t, 8> cycle_gains = {one * 5 / 4, one * 3 / 4, one, one,
                                                      one,         one,         one, one};

constexpr std::uint32_t bandwidth_rounds = 10;          // §4.1.1.1
constexpr Duration rtt_min_lifetime = seconds(10);      // §4.1.2.1
constexpr Duration probe_rtt_time = milliseconds(200);  // §4.3.5.1
constexpr std::uint32_t rounds_without_growth_max = 3;  // §4.3.2.2
constexpr std::uint32_t pacing_margin_percent = 1;      // as in Linux: rather a little slower

/// More than any port sends; keeps the products below within 64 bits.
constexpr std::uint64_t rate_max = std::uint64_t{1} << 36;  // 550 Gbit/s

std::uint64_t scaled(std::uint64_t rate, std::uint32_t gain) {
  return rate * gain / one;
}

/// What a rate brings in a time; time in whole microseconds, rounded up.
std::uint64_t bytes_in(std::uint64_t rate, Duration time) {
  const auto us = static_cast<std::uint64_t>((std::min(time, seconds(60)).ns + 999) / 1000);
  return rate * us / 1'000'000;
}

/// A whole round lies between the two: the rest of the one under way and one more.
bool round_passed(std::uint32_t since, std::uint32_t now) {
  return now - since >= 2;
}

}  // namespace

// ---- the filter ---------------------------------------------------------------------------------

void MaxRateFilter::update(std::uint32_t round, std::uint64_t rate) {
  const Sample sample{.rate = rate, .round = round};
  if (rate >= samples_[0].rate || round - samples_[2].round > rounds_) {
    samples_.fill(sample);  // better than all, or nothing known is from the window
    return;
  }
  if (rate >= samples_[1].rate) {
    samples_[1] = sample;
    samples_[2] = sample;
  } else if (rate >= samples_[2].rate) {
    samples_[2] = sample;
  }
  // What has left the window is followed by the next best.
  if (round - samples_[0].round > rounds_) {
    samples_ = {samples_[1], samples_[2], sample};
    if (round - samples_[0].round > rounds_) samples_ = {samples_[1], samples_[2], sample};
  } else if (samples_[1].round == samples_[0].round && round - samples_[0].round > rounds_ / 4) {
    samples_[1] = sample;  // a quarter has passed without a second best
    samples_[2] = sample;
  } else if (samples_[2].round == samples_[1].round && round - samples_[1].round > rounds_ / 2) {
    samples_[2] = sample;  // half of it without a third
  }
}

// ---- the model ----------------------------------------------------------------------------------

Bbr::Bbr(std::uint32_t mss_bytes)
    : mss_(mss_bytes), cwnd_(initial_window_bytes(mss_bytes)), bandwidth_(bandwidth_rounds) {}

void Bbr::on_ack(const AckSample& ack) {
  if (ack.round_start) ++round_;
  update_bandwidth(ack);
  update_cycle(ack);
  check_full_pipe(ack);
  check_drain(ack);
  update_rtt_min(ack);
  set_pacing_rate(ack);
  set_cwnd(ack);
}

/// By the application or by ProbeRtt: the path could do more.
bool Bbr::rate_held_down(const AckSample& ack) const {
  return ack.application_limited || mode_ == Mode::probe_rtt ||
         static_cast<std::int32_t>(limited_until_round_ - round_) > 0;
}

/// §4.1.1: a rate that was held down can only raise the estimate.
void Bbr::update_bandwidth(const AckSample& ack) {
  const std::uint64_t rate = std::min(ack.delivery_rate, rate_max);
  if (rate == 0) return;
  if (!rate_held_down(ack) || rate >= bandwidth_.best()) bandwidth_.update(round_, rate);
}

/// §4.3.4.3: each gain for the least round trip; the high one until it has filled what it is for,
/// the low one no longer than the queue lasts.
void Bbr::update_cycle(const AckSample& ack) {
  if (mode_ != Mode::probe_bw) return;
  const bool lasted = ack.now - cycle_began_ > rtt_min_;
  const std::uint32_t before = ack.in_flight_bytes + ack.delivered_bytes + ack.lost_bytes;
  const std::uint32_t gain = cycle_gains[cycle_index_];
  bool next = lasted;
  if (gain > one) next = lasted && (ack.lost_bytes > 0 || before >= inflight_bytes(gain));
  if (gain < one) next = lasted || before <= inflight_bytes(one);
  if (!next) return;
  cycle_index_ = static_cast<std::uint8_t>((cycle_index_ + 1U) % cycle_gains.size());
  cycle_began_ = ack.now;
}

/// §4.3.2.2
void Bbr::check_full_pipe(const AckSample& ack) {
  if (pipe_filled_ || !ack.round_start || rate_held_down(ack)) return;
  if (bandwidth_.best() >= full_bandwidth_ + full_bandwidth_ / 4) {
    full_bandwidth_ = bandwidth_.best();
    rounds_without_growth_ = 0;
    return;
  }
  ++rounds_without_growth_;
  pipe_filled_ = rounds_without_growth_ >= rounds_without_growth_max;
}

/// §4.3.3
void Bbr::check_drain(const AckSample& ack) {
  if (mode_ == Mode::startup && pipe_filled_) {
    mode_ = Mode::drain;
    ssthresh_ = inflight_bytes(one);
  }
  if (mode_ == Mode::drain && ack.in_flight_bytes <= inflight_bytes(one)) enter_probe_bw(ack.now);
}

void Bbr::enter_probe_bw(Time now) {
  mode_ = Mode::probe_bw;
  cycle_began_ = now;
  // §4.3.4.2: flows that share the path should probe at different times. Any gain but the low one,
  // because there is no queue to drain.
  const auto drawn =
      static_cast<std::uint64_t>(now.ns) * 0x9e37'79b9'7f4a'7c15 >> 32;  // of its low digits too
  const auto index = static_cast<std::uint8_t>(drawn % (cycle_gains.size() - 1));
  cycle_index_ = index == 0 ? 0 : static_cast<std::uint8_t>(index + 1);
}

/// §4.1.2 and §4.3.5
void Bbr::update_rtt_min(const AckSample& ack) {
  const bool expired = rtt_min_ > Duration{} && ack.now > rtt_min_at_ + rtt_min_lifetime;
  if (ack.rtt && ack.rtt->ns > 0 && (*ack.rtt <= rtt_min_ || rtt_min_ == Duration{} || expired)) {
    rtt_min_ = *ack.rtt;
    rtt_min_at_ = ack.now;
  }
  if (expired && !restarting_ && mode_ != Mode::probe_rtt) {
    mode_ = Mode::probe_rtt;
    save_cwnd();
    probe_rtt_reached_ = false;
  }
  if (mode_ == Mode::probe_rtt) update_probe_rtt(ack);
  if (ack.delivered_bytes > 0) restarting_ = false;
}

/// §4.3.5: so little that no queue of ours is left, for 200 ms and a round.
void Bbr::update_probe_rtt(const AckSample& ack) {
  if (!probe_rtt_reached_) {
    if (ack.in_flight_bytes > cwnd_bytes_min()) return;
    probe_rtt_reached_ = true;
    probe_rtt_until_ = ack.now + probe_rtt_time;
    probe_rtt_round_ = round_;
  } else if (round_passed(probe_rtt_round_, round_) && ack.now > probe_rtt_until_) {
    leave_probe_rtt(ack.now);
  }
}

void Bbr::leave_probe_rtt(Time now) {
  rtt_min_at_ = now;
  limited_until_round_ = round_ + 2;
  if (recovery_ == Recovery::none) restore_cwnd();
  if (pipe_filled_) {
    enter_probe_bw(now);
  } else {
    mode_ = Mode::startup;
  }
}

// ---- what follows from it -----------------------------------------------------------------------

std::uint32_t Bbr::pacing_gain() const {
  switch (mode_) {
    case Mode::startup:
      return high_gain;
    case Mode::drain:
      return drain_gain;
    case Mode::probe_bw:
      return cycle_gains[cycle_index_];
    case Mode::probe_rtt:
      break;
  }
  return one;
}

std::uint32_t Bbr::cwnd_gain() const {
  switch (mode_) {
    case Mode::startup:
    case Mode::drain:
      return high_gain;
    case Mode::probe_bw:
      return probe_cwnd_gain;
    case Mode::probe_rtt:
      break;
  }
  return one;
}

/// §4.2.2
std::uint32_t Bbr::send_quantum_bytes() const {
  constexpr std::uint64_t slow = 1'200'000 / 8;
  constexpr std::uint64_t middle = 24'000'000 / 8;
  if (pacing_rate_ < slow) return mss_;
  if (pacing_rate_ < middle) return 2 * mss_;
  return std::max(2 * mss_, static_cast<std::uint32_t>(std::min<std::uint64_t>(
                                bytes_in(pacing_rate_, milliseconds(1)), 64 * 1024)));
}

/// §4.2.3.2, BBRInflight: the path holds that, and three long segments are in the machines at its
/// ends.
std::uint32_t Bbr::inflight_bytes(std::uint32_t gain) const {
  if (rtt_min_ == Duration{} || bandwidth_.best() == 0) {
    return static_cast<std::uint32_t>(scaled(initial_window_bytes(mss_), gain));
  }
  std::uint64_t bytes = bytes_in(scaled(bandwidth_.best(), gain), rtt_min_);
  bytes += 3 * send_quantum_bytes();
  if (mode_ == Mode::probe_bw && cycle_index_ == 0) bytes += 2 * mss_;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(bytes, cwnd_bytes_max));
}

/// §4.2.1. Before a bandwidth is known the window is what there is; early samples are of few
/// segments, so nothing slows down before the pipe was filled.
void Bbr::set_pacing_rate(const AckSample& ack) {
  if (pacing_rate_ == 0 && ack.srtt > Duration{}) {
    const std::uint64_t us = static_cast<std::uint64_t>((ack.srtt.ns + 999) / 1000);
    pacing_rate_ = std::min(scaled(std::uint64_t{cwnd_} * 1'000'000 / us, high_gain), rate_max);
  }
  const std::uint64_t rate =
      scaled(bandwidth_.best(), pacing_gain()) * (100 - pacing_margin_percent) / 100;
  if (rate > 0 && (pipe_filled_ || rate > pacing_rate_)) pacing_rate_ = rate;
}

/// §4.2.3.6
void Bbr::set_cwnd(const AckSample& ack) {
  const std::uint32_t acked = ack.delivered_bytes;
  if (acked == 0) return;
  // §4.2.3.4: in the first round of a recovery what arrives lets out as much, and no more.
  if (recovery_ == Recovery::entering) {
    recovery_ = Recovery::conserving;
    recovery_round_ = round_;
    cwnd_ = std::max(ack.in_flight_bytes + acked, mss_);
  } else if (ack.lost_bytes > 0) {
    cwnd_ = cwnd_ > ack.lost_bytes ? std::max(cwnd_ - ack.lost_bytes, mss_) : mss_;
  }
  if (recovery_ == Recovery::conserving && round_passed(recovery_round_, round_))
    recovery_ = Recovery::growing;
  if (recovery_ == Recovery::after_timeout && !ack.after_timeout) {
    recovery_ = Recovery::none;
    restore_cwnd();
  }
  if (recovery_ == Recovery::conserving) {
    cwnd_ = std::max(cwnd_, ack.in_flight_bytes + acked);
  } else {
    const std::uint32_t target = inflight_bytes(cwnd_gain());
    if (pipe_filled_) {
      cwnd_ = std::min(cwnd_ + acked, target);
    } else if (cwnd_ < target || ack.delivered_total < initial_window_bytes(mss_)) {
      cwnd_ += acked;
    }
    cwnd_ = std::clamp(cwnd_, cwnd_bytes_min(), cwnd_bytes_max);
  }
  if (mode_ == Mode::probe_rtt) cwnd_ = std::min(cwnd_, cwnd_bytes_min());
}

// ---- loss ---------------------------------------------------------------------------------------

void Bbr::save_cwnd() {
  const bool whole = recovery_ == Recovery::none && mode_ != Mode::probe_rtt;
  prior_cwnd_ = whole ? cwnd_ : std::max(prior_cwnd_, cwnd_);
}

void Bbr::restore_cwnd() {
  cwnd_ = std::max(cwnd_, prior_cwnd_);
}

void Bbr::on_congestion(CongestionCause cause, std::uint32_t /*in_flight_bytes*/, Time /*now*/) {
  if (cause == CongestionCause::ecn) return;
  save_cwnd();
  recovery_ = Recovery::entering;
  undoable_ = true;
}

void Bbr::on_recovered(std::uint32_t /*in_flight_bytes*/, Time /*now*/) {
  if (recovery_ == Recovery::none || recovery_ == Recovery::after_timeout) return;
  recovery_ = Recovery::none;
  if (mode_ != Mode::probe_rtt) restore_cwnd();
}

void Bbr::on_timeout(std::uint32_t /*in_flight_bytes*/, bool repeated, Time /*now*/) {
  if (!repeated) save_cwnd();
  recovery_ = Recovery::after_timeout;
  undoable_ = true;
  cwnd_ = mss_;
  full_bandwidth_ = 0;  // what was measured until now need not be what there is
}

void Bbr::undo(Time /*now*/) {
  if (!undoable_) return;
  undoable_ = false;
  recovery_ = Recovery::none;
  full_bandwidth_ = 0;  // the rounds with too little out have not shown that the pipe is full
  rounds_without_growth_ = 0;
  if (mode_ != Mode::probe_rtt) restore_cwnd();
}

/// §4.3.4.4: after a pause there is no queue to drain and none to build; and ProbeRtt had its calm.
void Bbr::on_idle(Time now) {
  restarting_ = true;
  if (mode_ == Mode::probe_bw) {
    const std::uint64_t rate = bandwidth_.best() * (100 - pacing_margin_percent) / 100;
    if (rate > 0) pacing_rate_ = rate;
  } else if (mode_ == Mode::probe_rtt && probe_rtt_reached_ && now > probe_rtt_until_) {
    leave_probe_rtt(now);
  }
}

void Bbr::set_mss(std::uint32_t mss_bytes) {
  mss_ = mss_bytes;
  cwnd_ = std::max(cwnd_, mss_);
}

}  // namespace strictsend::tcp
