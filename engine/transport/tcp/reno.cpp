// SPDX-License-Identifier: Apache-2.0
#include "engine/transport/tcp/reno.hpp"

#include <algorithm>

namespace strictsend::tcp {

static_assert(CongestionAware<Reno>);

namespace {
std::uint32_t reduced(std::uint32_t in_flight_bytes, CongestionCause cause) {
  if (cause == CongestionCause::loss) return in_flight_bytes / 2;  // RFC 5681 equation (4)
  // RFC 8511 §3.1: 0.8. A marking queue is short, so less is enough to drain it.
  return static_cast<std::uint32_t>(std::uint64_t{in_flight_bytes} * 4 / 5);
}
}  // namespace

void Reno::on_ack(const AckSample& ack) {
  if (ack.in_recovery) return;
  std::uint32_t acked = ack.acked_bytes;
  if (window_.in_slow_start()) acked = slow_start_.on_ack(window_, ack);
  if (window_.in_slow_start() || !window_.was_filled(ack)) return;
  // RFC 5681 §3.1: one segment for each window acknowledged.
  const std::uint32_t cwnd = window_.cwnd_bytes;
  acked_in_avoidance_ = std::min(acked_in_avoidance_ + std::min(acked, cwnd), 2 * cwnd);
  if (acked_in_avoidance_ >= cwnd) {
    acked_in_avoidance_ -= cwnd;
    window_.grow(window_.mss_bytes);
  }
}

void Reno::remember() {
  undo_cwnd_ = cwnd_to_restore();
  undo_ssthresh_ = window_.ssthresh_bytes;
}

void Reno::on_congestion(CongestionCause cause, std::uint32_t in_flight_bytes, Time /*now*/) {
  remember();
  window_.ssthresh_bytes = std::max(reduced(in_flight_bytes, cause), 2 * window_.mss_bytes);
  acked_in_avoidance_ = 0;
  reducing_ = true;
}

void Reno::on_recovered(std::uint32_t /*in_flight_bytes*/, Time /*now*/) {
  if (!reducing_) return;  // it was taken back
  reducing_ = false;
  window_.cwnd_bytes = window_.ssthresh_bytes;  // RFC 6937 §3: what its window converges to
}

void Reno::on_timeout(std::uint32_t in_flight_bytes, bool repeated, Time /*now*/) {
  if (!repeated) {  // RFC 5681 §3.1, last rule
    remember();
    window_.ssthresh_bytes = std::max(in_flight_bytes / 2, 2 * window_.mss_bytes);
  }
  reducing_ = false;
  window_.cwnd_bytes = window_.mss_bytes;
  acked_in_avoidance_ = 0;
}

void Reno::undo(Time /*now*/) {
  if (undo_cwnd_ == 0) return;
  window_.cwnd_bytes = std::max(window_.cwnd_bytes, undo_cwnd_);
  window_.ssthresh_bytes = std::max(window_.ssthresh_bytes, undo_ssthresh_);
  slow_start_ = {};  // its round trips are from before
  undo_cwnd_ = 0;
  reducing_ = false;
}

void Reno::on_idle(Time /*now*/) {
  window_.cwnd_bytes = window_.restart_bytes();
}

}  // namespace strictsend::tcp
