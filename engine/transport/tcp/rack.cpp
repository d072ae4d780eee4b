// SPDX-License-Identifier: Apache-2.0
#include "engine/transport/tcp/rack.hpp"

#include <algorithm>

namespace strictsend::tcp {

namespace {
constexpr Duration rtt_min_window = seconds(300);
constexpr std::uint8_t window_persist_recoveries = 16;  // RFC 8985 §6.2 step 4
constexpr std::uint32_t window_mult_max = 254;          // beyond any SRTT that bounds it
}  // namespace

void WindowedMin::sample(Duration value, Time now) {
  if (now >= bucket_until_) {
    before_ = least_;
    least_ = none;
    bucket_until_ = now + rtt_min_window / 2;
  }
  least_ = std::min(least_, value);
}

void Rack::delivered(const Run& piece, Time now, Duration rtt_min, bool echo_is_older) {
  const Position end = piece.end();
  // Step 3. A piece sent once that arrives after a later one has been overtaken.
  if (end > fack_) {
    fack_ = end;
  } else if (end < fack_ && !piece.retransmitted) {
    reordering_seen_ = true;
  }
  // Step 2. What was sent twice may have arrived the first time.
  const Duration rtt = now - piece.stamp.sent_at;
  if (piece.retransmitted && (echo_is_older || rtt < rtt_min)) return;
  rtt_ = rtt;
  if (piece.stamp.sent_at > sent_at_ || (piece.stamp.sent_at == sent_at_ && end > end_)) {
    sent_at_ = piece.stamp.sent_at;
    end_ = end;
  }
}

void Rack::update_window(bool dsack, Position una, Position nxt) {
  if (dsack_round_ && una >= *dsack_round_) dsack_round_.reset();
  if (!dsack || dsack_round_) return;
  dsack_round_ = nxt;
  window_mult_ = std::min(window_mult_ + 1, window_mult_max);
  window_persist_ = window_persist_recoveries;
}

void Rack::recovery_ended() {
  if (window_persist_ > 0) --window_persist_;
  if (window_persist_ == 0) window_mult_ = 1;
}

Duration Rack::window(bool eager, Duration rtt_min, Duration srtt) const {
  if (!reordering_seen_ && eager) return Duration{};
  return std::min(rtt_min * window_mult_ / 4, srtt);
}

Rack::Detected Rack::detect(Scoreboard& board, Time now, bool eager, Duration rtt_min,
                            Duration srtt) const {
  Detected detected;
  const Duration allowed = rtt_ + window(eager, rtt_min, srtt);
  Duration longest;
  detected.lost_bytes =
      board.mark_lost([&](const Run& run) { return run.stamp.sent_at <= sent_at_; },
                      [&](const Run& run) {
                        if (run.stamp.sent_at == sent_at_ && run.end() >= end_) return false;
                        const Duration remaining = run.stamp.sent_at + allowed - now;
                        if (remaining <= Duration{}) return true;
                        longest = std::max(longest, remaining);
                        return false;
                      });
  if (longest > Duration{}) detected.again_at = now + longest;
  return detected;
}

bool Rack::expired(const Run& run, Time now, Duration rtt_min, Duration srtt) const {
  return run.stamp.sent_at + rtt_ + window(false, rtt_min, srtt) <= now;
}

}  // namespace strictsend::tcp
