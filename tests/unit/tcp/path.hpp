// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>

#include "base/clock.hpp"
#include "engine/transport/tcp/congestion_control.hpp"

namespace strictsend::tcp {

struct PathSetup {
  std::uint64_t rate = 12'500'000;          ///< of the bottleneck, bytes per second
  Duration round_trip = milliseconds(40);   ///< when its queue is empty
  std::uint32_t queue_bytes_max = 1 << 30;  ///< what does not fit is lost
  std::uint64_t application_rate = 0;       ///< bytes per second; 0: always more than goes out
};

/// One sender, one bottleneck with a queue, one receiver that acknowledges each segment: a closed
/// loop around a congestion control, in made-up time. Losses are known when the segment behind
/// would have been acknowledged, and sent again as new ones; in recovery the window of those that
/// leave it to PRR is ssthresh.
class Path {
 public:
  static constexpr std::uint32_t mss = 1000;

  Path(CongestionAlgorithm algorithm, const PathSetup& setup)
      : setup_(setup), control_(algorithm, mss) {}

  void run_for(Duration time);
  void set_rate(std::uint64_t rate) { setup_.rate = rate; }
  void set_round_trip(Duration time) { setup_.round_trip = time; }

  [[nodiscard]] const CongestionControl& control() const { return control_; }
  [[nodiscard]] Time now() const { return now_; }
  [[nodiscard]] std::uint64_t delivered_bytes() const { return delivered_; }
  [[nodiscard]] std::uint64_t lost_bytes() const { return lost_; }
  [[nodiscard]] std::uint32_t in_flight_bytes() const { return in_flight_; }
  [[nodiscard]] std::uint32_t queue_bytes() const;

 private:
  struct Segment {
    Time answered_at;
    Time sent_at;
    bool lost = false;
    bool application_limited = false;
    // As of when it was sent (draft-cheng-iccrg-delivery-rate-estimation §3.2).
    std::uint64_t delivered = 0;
    Time delivered_at;
    Time first_sent_at;
  };

  [[nodiscard]] std::uint32_t window_bytes() const;
  [[nodiscard]] Time next_send() const;
  void send();
  void answer(const Segment& segment);

  PathSetup setup_;
  CongestionControl control_;
  Time now_ = Time{} + seconds(1);
  std::deque<Segment> segments_;  // in flight, in order
  Time link_free_at_;
  Time paced_until_;
  Time last_answer_;
  std::uint32_t in_flight_ = 0;
  std::uint64_t sent_ = 0;
  std::uint64_t delivered_ = 0;
  std::uint64_t lost_ = 0;
  std::uint64_t answered_ = 0;  // bytes acknowledged or lost
  std::uint64_t round_ends_at_ = 0;
  std::uint64_t recovery_ends_at_ = 0;
  bool in_recovery_ = false;
  Time delivered_at_;
  Time first_sent_at_;
  Duration srtt_;
  Duration rtt_min_;
  std::uint32_t flight_peak_ = 0;
  std::uint64_t flight_peak_until_ = 0;
};

}  // namespace strictsend::tcp
