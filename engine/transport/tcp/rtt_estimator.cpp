// SPDX-License-Identifier: Apache-2.0
#include "engine/transport/tcp/rtt_estimator.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace strictsend::tcp {

namespace {
// 2^16 doublings of anything is beyond every limit; the cap only keeps the shift defined.
constexpr std::uint8_t back_offs_max = 16;
}  // namespace

void RttEstimator::sample(Duration rtt, std::uint32_t samples_per_round_trip) {
  STRICTSEND_ASSERT(rtt.ns >= 0);
  const std::int64_t n = std::max<std::int64_t>(1, samples_per_round_trip);
  if (!has_sample_) {  // RFC 6298 §2.2
    srtt_ = rtt;
    rttvar_ = rtt / 2;
    has_sample_ = true;
  } else {  // RFC 6298 §2.3 with alpha/n and beta/n, RFC 7323 appendix G
    const Duration error = rtt > srtt_ ? rtt - srtt_ : srtt_ - rtt;
    rttvar_ = rttvar_ + (error - rttvar_) / (4 * n);
    srtt_ = srtt_ + (rtt - srtt_) / (8 * n);
  }
  // RFC 6298 §2.3 and 2.4, the minimum being what the time-out leaves to delays that no sample has
  // shown yet, a delayed acknowledgement's first of all (Linux has it so). A plain minimum would be
  // below SRTT on long paths, where the tail loss probe (RFC 8985 §7.2) must come before it.
  base_rto_ = srtt_ + std::max({clock_granularity, rto_min_, rttvar_ * 4});
  back_offs_ = 0;
}

void RttEstimator::back_off() {
  back_offs_ = std::min<std::uint8_t>(back_offs_max, static_cast<std::uint8_t>(back_offs_ + 1));
}

void RttEstimator::handshake_was_retransmitted() {
  if (has_sample_) return;
  base_rto_ = seconds(3);
  back_offs_ = 0;
}

Duration RttEstimator::base_rto() const {
  return std::clamp(base_rto_, rto_min_, rto_max_);
}

Duration RttEstimator::rto() const {
  return std::min(base_rto() * (std::int64_t{1} << back_offs_), rto_max_);
}

}  // namespace strictsend::tcp
