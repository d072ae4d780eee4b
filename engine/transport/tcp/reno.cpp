// SPDX-License-Identifier: Apache-2.0
#include "engine/transport/tcp/reno.hpp"

#include <algorithm>

namespace strictsend::tcp {

static_assert(CongestionAware<Reno>);

namespace {
std::uint32_t reduced(std::uint32_t in_flight_bytes, CongestionCause cause) {
  if (cause == CongestionCause::loss) return in_flight_bytes / 2;  // RFC 5681 equation (4)
  // RFC 8511 §3: 0.8. A marking queue is short, so less is enough to drain it.
  return static_cast<std::uint32_t>(std::uint64_t{in_flight_bytes} * 4 / 5);
}
}  // namespace

Reno::Reno(std::uint32_t mss_bytes) : mss_(mss_bytes), cwnd_(initial_window_bytes(mss_bytes)) {}

void Reno::grow(std::uint32_t bytes) {
  cwnd_ = std::min(cwnd_bytes_max, cwnd_ + bytes);
}

void Reno::on_ack(const AckSample& ack) {
  if (ack.in_recovery) return;
  std::uint32_t acked = ack.acked_bytes;
  if (cwnd_ < ssthresh_) {
    // A window that was not filled says nothing about the path: RFC 7661 §4.1 in its simplest form.
    // In slow start half is enough, because growth doubles it.
    if (cwnd_ / 2 >= ack.flight_peak_bytes) return;
    // After a timeout one acknowledgement may cover much that the receiver had kept; it must not
    // let a burst out (RFC 3465 §2.3). Otherwise the bound is the one that RFC 9406 §4.3 recommends
    // for senders that do not pace: receivers that coalesce acknowledge many segments at once.
    const std::uint32_t bound = (ack.after_timeout ? 1 : 8) * mss_;
    const std::uint32_t step = std::min({acked, bound, ssthresh_ - cwnd_});
    grow(step);
    acked -= step;
    if (cwnd_ < ssthresh_ || ack.after_timeout) return;
  }
  // RFC 5681 §3.1: one segment for each window acknowledged.
  if (ack.flight_peak_bytes + mss_ <= cwnd_) return;
  acked_in_avoidance_ = std::min(acked_in_avoidance_ + std::min(acked, cwnd_), 2 * cwnd_);
  if (acked_in_avoidance_ >= cwnd_) {
    acked_in_avoidance_ -= cwnd_;
    grow(mss_);
  }
}

void Reno::remember() {
  // A reduction that is not carried out yet is not taken back with the one after it.
  undo_cwnd_ = reducing_ ? std::min(cwnd_, ssthresh_) : cwnd_;
  undo_ssthresh_ = ssthresh_;
}

void Reno::on_congestion(CongestionCause cause, std::uint32_t in_flight_bytes, Time /*now*/) {
  remember();
  ssthresh_ = std::max(reduced(in_flight_bytes, cause), 2 * mss_);
  acked_in_avoidance_ = 0;
  reducing_ = true;
}

void Reno::on_recovered(std::uint32_t /*in_flight_bytes*/, Time /*now*/) {
  reducing_ = false;
  cwnd_ = ssthresh_;  // RFC 6937 §3: what its window converges to
}

void Reno::on_timeout(std::uint32_t in_flight_bytes, bool repeated, Time /*now*/) {
  if (!repeated) {
    remember();
    ssthresh_ = std::max(in_flight_bytes / 2, 2 * mss_);  // RFC 5681 §3.1, last rule
  }
  reducing_ = false;
  cwnd_ = mss_;
  acked_in_avoidance_ = 0;
}

void Reno::undo(Time /*now*/) {
  if (undo_cwnd_ == 0) return;
  cwnd_ = std::max(cwnd_, undo_cwnd_);
  ssthresh_ = std::max(ssthresh_, undo_ssthresh_);
  undo_cwnd_ = 0;
  reducing_ = false;
}

std::uint32_t Reno::restart_window_bytes() const {
  return std::min(initial_window_bytes(mss_), cwnd_);
}

void Reno::on_idle(Time /*now*/) {
  cwnd_ = restart_window_bytes();  // RFC 5681 §4.1
}

void Reno::start_with_one_segment() {
  cwnd_ = mss_;
}

void Reno::set_mss(std::uint32_t mss_bytes) {
  mss_ = mss_bytes;
  cwnd_ = std::max(cwnd_, mss_);
}

}  // namespace strictsend::tcp
