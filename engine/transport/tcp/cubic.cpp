// SPDX-License-Identifier: Apache-2.0
#include "engine/transport/tcp/cubic.hpp"

#include <algorithm>
#include <bit>

namespace strictsend::tcp {

static_assert(CongestionAware<Cubic>);

namespace {

/// The curve's unit of time: 2^-12 s, so that the cube of 256 s takes 60 bits. With C = 0.4 the
/// window rises in 256 s by 6.7 million segments, which is a gigabyte at any usual MSS.
constexpr std::int64_t ticks_per_second_log2 = 12;
constexpr std::int64_t ticks_max = std::int64_t{256} << ticks_per_second_log2;

std::int64_t ticks(Duration d) {
  constexpr Duration limit = seconds(512);  // K and as much again
  return (std::min(d, limit).ns << ticks_per_second_log2) / seconds(1).ns;
}

/// RFC 9438 §4.6, beta_cubic = 0.7; RFC 8511 §3.1: 0.85 after a mark.
std::uint32_t cubic_reduced(std::uint32_t bytes, CongestionCause cause) {
  const std::uint64_t percent = cause == CongestionCause::loss ? 70 : 85;
  return static_cast<std::uint32_t>(bytes * percent / 100);
}

/// RFC 9438 §4.2, K = cbrt((W_max - cwnd) / C), in ticks.
std::uint32_t rise_ticks(std::uint32_t below_bytes, std::uint32_t mss_bytes) {
  // below / mss / (2 / 5) * 2^36, in an order that keeps 64 bits and the cube of ticks_max.
  const std::uint64_t cube_high = ((std::uint64_t{below_bytes} * 5) << 30) / (2 * mss_bytes);
  return cube_root(std::min(cube_high, std::uint64_t{1} << 54) << 6);
}

}  // namespace

std::uint32_t cube_root(std::uint64_t value) {
  if (value == 0) return 0;
  // Newton's iteration from above falls until it is there. 2^ceil(bits / 3) is above, and at most
  // 2^22 for all 64 bits, so that the square fits.
  std::uint64_t root = std::uint64_t{1} << ((static_cast<unsigned>(std::bit_width(value)) + 2) / 3);
  for (;;) {
    const std::uint64_t next = (2 * root + value / (root * root)) / 3;
    if (next >= root) return static_cast<std::uint32_t>(root);
    root = next;
  }
}

/// RFC 9438 §4.2, W_cubic(t) = C (t - K)^3 + W_max.
std::uint32_t Cubic::curve_bytes(Duration t) const {
  const std::int64_t from_k = ticks(t) - std::int64_t{epoch_.k_ticks};
  const std::uint64_t distance =
      static_cast<std::uint64_t>(std::min(from_k < 0 ? -from_k : from_k, ticks_max));
  // 60 bits; 44; times the MSS: 60.
  const std::uint64_t cube = distance * distance * distance;
  const std::uint64_t bytes = (((cube >> 16) * window_.mss_bytes * 2) / 5) >> 20;
  const std::uint64_t origin = epoch_.origin_bytes;
  if (from_k < 0) return static_cast<std::uint32_t>(origin > bytes ? origin - bytes : 0);
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(origin + bytes, cwnd_bytes_max));
}

void Cubic::begin_epoch(Time now) {
  const std::uint32_t cwnd = window_.cwnd_bytes;
  epoch_ = {.running = true, .updated = now, .origin_bytes = cwnd, .reno_bytes = cwnd};
  reno_rest_ = 0;
  growth_rest_ = 0;
  // RFC 9438 §4.8 and §4.10: without a W_max above, the stage begins where the curve is flat.
  if (w_max_bytes_ > cwnd) {
    epoch_.origin_bytes = w_max_bytes_;
    epoch_.k_ticks = rise_ticks(w_max_bytes_ - cwnd, window_.mss_bytes);
  }
}

/// RFC 9438 §4.3: what Reno would have by now, if it lost as little of its window as we do.
void Cubic::grow_like_reno(std::uint32_t acked_bytes) {
  // alpha_cubic = 3 (1 - beta) / (1 + beta) = 9/17; as in Reno once it is where the loss was.
  const std::uint64_t alpha_17ths = epoch_.reno_bytes >= cwnd_prior_bytes_ ? 17 : 9;
  const std::uint64_t divisor = std::uint64_t{17} * window_.cwnd_bytes;
  reno_rest_ += alpha_17ths * window_.mss_bytes * acked_bytes;
  epoch_.reno_bytes = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(epoch_.reno_bytes + reno_rest_ / divisor, cwnd_bytes_max));
  reno_rest_ %= divisor;
}

void Cubic::on_ack(const AckSample& ack) {
  if (ack.in_recovery) return;
  std::uint32_t acked = ack.acked_bytes;
  if (window_.in_slow_start()) {
    acked = slow_start_.on_ack(window_, ack);
    if (window_.in_slow_start()) return;
  }
  if (!epoch_.running) {
    // RFC 9438 §4.10: the first slow start ended without a loss.
    if (cwnd_prior_bytes_ == 0) cwnd_prior_bytes_ = window_.cwnd_bytes;
    begin_epoch(ack.now);
  }
  Duration since = ack.now - epoch_.updated;
  epoch_.updated = ack.now;
  // RFC 9438 §4.2 and §5.8: while the application does not fill the window, time stands still. Full
  // windows with a pause between them do fill it, so the pause is told by its length.
  if (!window_.was_filled(ack)) return;
  if (ack.srtt > Duration{}) since = std::min(since, ack.srtt * 2);
  epoch_.elapsed = epoch_.elapsed + since;

  const std::uint32_t cwnd = window_.cwnd_bytes;
  acked = std::min(acked, cwnd);
  grow_like_reno(acked);
  if (curve_bytes(epoch_.elapsed) < epoch_.reno_bytes) {
    window_.cwnd_bytes = std::max(cwnd, epoch_.reno_bytes);
    return;
  }
  // RFC 9438 §4.4 and §4.5: in one round trip to where the curve then is, but to no more than half
  // as much again.
  const std::uint32_t target =
      std::clamp(curve_bytes(epoch_.elapsed + ack.srtt), cwnd, cwnd + cwnd / 2);
  growth_rest_ += std::uint64_t{target - cwnd} * acked;
  window_.grow(static_cast<std::uint32_t>(growth_rest_ / cwnd));
  growth_rest_ %= cwnd;
}

void Cubic::remember() {
  before_ = {.cwnd_bytes = cwnd_to_restore(),
             .ssthresh_bytes = window_.ssthresh_bytes,
             .w_max_bytes = w_max_bytes_,
             .cwnd_prior_bytes = cwnd_prior_bytes_,
             .epoch = epoch_};
}

void Cubic::on_congestion(CongestionCause cause, std::uint32_t in_flight_bytes, Time /*now*/) {
  remember();
  const std::uint32_t cwnd = before_.cwnd_bytes;
  // RFC 9438 §4.7, fast convergence: who lost before reaching the last W_max has company now, and
  // leaves it room: (1 + beta) / 2 = 17/20.
  w_max_bytes_ =
      cwnd < w_max_bytes_ ? static_cast<std::uint32_t>(std::uint64_t{cwnd} * 17 / 20) : cwnd;
  cwnd_prior_bytes_ = cwnd;
  window_.ssthresh_bytes = std::max(cubic_reduced(in_flight_bytes, cause), 2 * window_.mss_bytes);
  epoch_.running = false;
  reducing_ = true;
}

void Cubic::on_recovered(std::uint32_t /*in_flight_bytes*/, Time now) {
  if (!reducing_) return;  // it was taken back
  reducing_ = false;
  window_.cwnd_bytes = window_.ssthresh_bytes;
  begin_epoch(now);
}

void Cubic::on_timeout(std::uint32_t in_flight_bytes, bool repeated, Time /*now*/) {
  if (!repeated) {
    remember();
    cwnd_prior_bytes_ = before_.cwnd_bytes;
    window_.ssthresh_bytes =
        std::max(cubic_reduced(in_flight_bytes, CongestionCause::loss), 2 * window_.mss_bytes);
  }
  w_max_bytes_ = 0;  // RFC 9438 §4.8
  epoch_.running = false;
  reducing_ = false;
  window_.cwnd_bytes = window_.mss_bytes;
}

void Cubic::undo(Time now) {
  if (before_.cwnd_bytes == 0) return;
  window_.cwnd_bytes = std::max(window_.cwnd_bytes, before_.cwnd_bytes);
  window_.ssthresh_bytes = std::max(window_.ssthresh_bytes, before_.ssthresh_bytes);
  w_max_bytes_ = before_.w_max_bytes;
  cwnd_prior_bytes_ = before_.cwnd_prior_bytes;
  epoch_ = before_.epoch;
  epoch_.updated = now;  // what the reduction took does not count
  slow_start_ = {};      // its round trips are from before
  before_ = {};
  reducing_ = false;
}

void Cubic::on_idle(Time now) {
  const std::uint32_t restart = window_.restart_bytes();
  epoch_.updated = now;
  if (restart < window_.cwnd_bytes) epoch_.running = false;
  window_.cwnd_bytes = restart;
}

}  // namespace strictsend::tcp
