// SPDX-License-Identifier: Apache-2.0
#include "engine/transport/tcp/reno.hpp"

#include <algorithm>

namespace strictsend::tcp {

namespace {
// More than any window that can be announced (RFC 7323 §2.3), so it limits nothing but overflow.
constexpr std::uint32_t cwnd_bytes_max = std::uint32_t{1} << 30;
}  // namespace

Reno::Reno(std::uint32_t mss_bytes)
    : mss_(mss_bytes), cwnd_(initial_window_bytes()), ssthresh_(cwnd_bytes_max) {}

// RFC 6928 §2
std::uint32_t Reno::initial_window_bytes() const {
  return std::min(10 * mss_, std::max(2 * mss_, std::uint32_t{14600}));
}

void Reno::grow(std::uint32_t bytes) {
  cwnd_ = std::min(cwnd_bytes_max, cwnd_ + bytes);
}

void Reno::on_ack(const CongestionAck& ack) {
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

void Reno::on_loss(std::uint32_t flight_bytes) {
  ssthresh_ = std::max(flight_bytes / 2, 2 * mss_);  // RFC 5681 equation (4)
  acked_in_avoidance_ = 0;
}

void Reno::on_recovered(std::uint32_t flight_bytes) {
  cwnd_ = std::min(ssthresh_, std::max(flight_bytes, mss_) + mss_);  // RFC 6582 §3.2 step 3, (1)
}

void Reno::on_timeout(std::uint32_t flight_bytes, bool repeated) {
  if (!repeated) ssthresh_ = std::max(flight_bytes / 2, 2 * mss_);  // RFC 5681 §3.1, last rule
  cwnd_ = mss_;
  acked_in_avoidance_ = 0;
}

std::uint32_t Reno::restart_window_bytes() const {
  return std::min(initial_window_bytes(), cwnd_);
}

void Reno::on_idle() {
  cwnd_ = restart_window_bytes();  // RFC 5681 §4.1
}

void Reno::start_with_one_segment() {
  cwnd_ = mss_;
}

}  // namespace strictsend::tcp
