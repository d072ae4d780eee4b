// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/clock.hpp"
#include "engine/transport/tcp/scoreboard.hpp"

namespace strictsend::tcp {

/// How fast the network delivers: draft-cheng-iccrg-delivery-rate-estimation §3. Each transmission
/// notes how much had been delivered by then; its acknowledgement tells what was since, and in
/// what time it was sent and acknowledged, the longer of which counts. Owned by its Sender; pure.
class DeliveryRate {
 public:
  [[nodiscard]] SendStamp stamp(Time now, bool flight_empty) {
    if (flight_empty) first_sent_at_ = delivered_at_ = now;
    return {.sent_at = now,
            .first_sent_at = first_sent_at_,
            .delivered_at = delivered_at_,
            .delivered = delivered_};
  }
  /// The application has given too little: what is in flight now says nothing of the path.
  void application_limited(std::uint32_t in_flight_bytes) {
    limited_until_ = std::max<std::uint64_t>(delivered_ + in_flight_bytes, 1);
  }
  [[nodiscard]] bool is_application_limited() const { return limited_until_ > delivered_; }

  /// One acknowledgement: `begin`, then each piece that it delivers, then `end`.
  void begin() { sample_ = Sample{}; }
  void piece(const Run& run) {
    if (sample_.any && run.stamp.delivered < sample_.prior_delivered) return;
    sample_.any = true;
    sample_.prior_delivered = run.stamp.delivered;
    sample_.prior_at = run.stamp.delivered_at;
    sample_.send_elapsed = run.stamp.sent_at - run.stamp.first_sent_at;
    sample_.limited = run.application_limited;
    first_sent_at_ = std::max(first_sent_at_, run.stamp.sent_at);
  }
  struct Rate {
    std::uint64_t bytes_per_second = 0;  ///< 0: no valid sample
    bool application_limited = false;
    bool round_start = false;  ///< what was in flight at the last round's start has been delivered
  };
  Rate end(std::uint32_t delivered_bytes, Time now, Duration rtt_min) {
    Rate rate;
    if (delivered_bytes == 0) return rate;
    delivered_ += delivered_bytes;
    delivered_at_ = now;
    if (!sample_.any) return rate;
    if (sample_.prior_delivered >= round_end_) {
      rate.round_start = true;
      round_end_ = delivered_;
    }
    const Duration interval = std::max(sample_.send_elapsed, now - sample_.prior_at);
    if (interval < rtt_min || interval <= Duration{}) return rate;
    rate.bytes_per_second = (delivered_ - sample_.prior_delivered) * 1'000'000'000U /
                            static_cast<std::uint64_t>(interval.ns);
    rate.application_limited = sample_.limited;
    return rate;
  }
  [[nodiscard]] std::uint64_t delivered() const { return delivered_; }

 private:
  struct Sample {
    bool any = false;
    bool limited = false;
    std::uint64_t prior_delivered = 0;
    Time prior_at;
    Duration send_elapsed;
  };

  std::uint64_t delivered_ = 0;
  std::uint64_t round_end_ = 0;
  std::uint64_t limited_until_ = 0;
  Time delivered_at_;
  Time first_sent_at_;
  Sample sample_;
};

}  // namespace strictsend::tcp
