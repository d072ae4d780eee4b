// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/tcp/path.hpp"

#include <algorithm>

namespace strictsend::tcp {

namespace {
Duration time_of(std::uint64_t bytes, std::uint64_t rate) {
  return nanoseconds(static_cast<std::int64_t>(bytes * 1'000'000'000 / rate));
}
}  // namespace

std::uint32_t Path::queue_bytes() const {
  if (link_free_at_ <= now_) return 0;
  const auto ns = static_cast<std::uint64_t>((link_free_at_ - now_).ns);
  return static_cast<std::uint32_t>(ns * setup_.rate / 1'000'000'000);
}

std::uint32_t Path::window_bytes() const {
  return in_recovery_ && control_.uses_prr() ? control_.ssthresh_bytes() : control_.cwnd_bytes();
}

Time Path::next_send() const {
  if (in_flight_ + mss > window_bytes()) return Time::never();
  Time at = std::max(now_, paced_until_);
  if (setup_.application_rate > 0)
    at = std::max(at, Time{} + seconds(1) + time_of(sent_, setup_.application_rate));
  return at;
}

void Path::run_for(Duration time) {
  const Time end = now_ + time;
  for (;;) {
    const Time answer_at = segments_.empty() ? Time::never() : segments_.front().answered_at;
    const Time send_at = next_send();
    const Time next = std::min(answer_at, send_at);
    if (next > end) break;
    now_ = std::max(now_, next);
    if (answer_at <= send_at) {
      const Segment segment = segments_.front();
      segments_.pop_front();
      answer(segment);
    } else {
      send();
    }
  }
  now_ = end;
}

void Path::send() {
  const bool lost = queue_bytes() + mss > setup_.queue_bytes_max;
  if (!lost) link_free_at_ = std::max(now_, link_free_at_) + time_of(mss, setup_.rate);
  // A path that got shorter does not let segments overtake each other.
  last_answer_ = std::max(last_answer_, std::max(now_, link_free_at_) + setup_.round_trip);
  if (in_flight_ == 0) {
    first_sent_at_ = now_;
    delivered_at_ = now_;
  }
  sent_ += mss;
  in_flight_ += mss;
  segments_.push_back(
      {.answered_at = last_answer_,
       .sent_at = now_,
       .lost = lost,
       .application_limited = setup_.application_rate > 0 && in_flight_ + mss <= window_bytes(),
       .delivered = delivered_,
       .delivered_at = delivered_at_,
       .first_sent_at = first_sent_at_});
  if (answered_ >= flight_peak_until_ || in_flight_ > flight_peak_) {
    flight_peak_ = in_flight_;
    flight_peak_until_ = sent_;
  }
  if (const std::uint64_t rate = control_.pacing_rate(); rate > 0)
    paced_until_ = now_ + time_of(mss, rate);
}

void Path::answer(const Segment& segment) {
  answered_ += mss;
  in_flight_ -= mss;
  AckSample ack;
  ack.now = now_;
  if (segment.lost) {
    lost_ += mss;
    ack.lost_bytes = mss;
    if (!in_recovery_) {
      control_.on_congestion(CongestionCause::loss, in_flight_ + mss, now_);
      in_recovery_ = true;
      recovery_ends_at_ = sent_;
    }
  } else {
    delivered_ += mss;
    delivered_at_ = now_;
    ack.acked_bytes = mss;
    ack.delivered_bytes = mss;
    ack.rtt = now_ - segment.sent_at;
    srtt_ = srtt_ == Duration{} ? *ack.rtt : srtt_ + (*ack.rtt - srtt_) / 8;
    rtt_min_ = rtt_min_ == Duration{} ? *ack.rtt : std::min(rtt_min_, *ack.rtt);
    first_sent_at_ = std::max(first_sent_at_, segment.sent_at);
    const Duration interval =
        std::max(segment.sent_at - segment.first_sent_at, now_ - segment.delivered_at);
    if (interval >= rtt_min_)
      ack.delivery_rate = (delivered_ - segment.delivered) * 1'000'000'000 /
                          static_cast<std::uint64_t>(interval.ns);
    ack.application_limited = segment.application_limited;
  }
  if (answered_ > round_ends_at_) {
    ack.round_start = true;
    round_ends_at_ = sent_;
  }
  ack.in_flight_bytes = in_flight_;
  ack.flight_peak_bytes = flight_peak_;
  ack.srtt = srtt_;
  ack.rtt_min = rtt_min_;
  ack.delivered_total = delivered_;
  if (in_recovery_ && answered_ >= recovery_ends_at_) {
    in_recovery_ = false;
    control_.on_recovered(in_flight_, now_);
  }
  ack.in_recovery = in_recovery_;
  control_.on_ack(ack);
}

}  // namespace strictsend::tcp
