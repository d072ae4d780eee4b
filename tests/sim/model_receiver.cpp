// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/model_receiver.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <span>

namespace strictsend::tcp {
namespace {

constexpr Duration ack_delay = milliseconds(40);  // Linux's TCP_DELACK_MIN
constexpr std::uint32_t iss = 1'000;

std::uint32_t milliseconds_of(Time now) {
  return static_cast<std::uint32_t>(now.ns / 1'000'000);
}

}  // namespace

Seq ModelReceiver::seq_of(std::uint64_t stream_offset) const {
  return server_iss_ + static_cast<std::uint32_t>(1 + stream_offset);
}

SegmentIn ModelReceiver::syn(Time now) const {
  SegmentIn out;
  out.seq = Seq(iss);
  out.flags.syn = true;
  out.window = static_cast<std::uint16_t>(std::min<std::uint32_t>(setup_.window_bytes, 65535));
  out.syn_options.mss = setup_.mss_bytes;
  out.syn_options.window_scale = setup_.window_scale;
  out.syn_options.sack_permitted = setup_.sack;
  if (setup_.timestamps) out.timestamps = Timestamps{.value = milliseconds_of(now), .echo = 0};
  return out;
}

SegmentIn ModelReceiver::acknowledgement(Time now) {
  SegmentIn out;
  out.seq = Seq(iss) + 1;
  out.ack = seq_of(received_);
  out.flags.ack = true;
  out.window = static_cast<std::uint16_t>(
      std::min<std::uint32_t>(setup_.window_bytes >> setup_.window_scale, 65535));
  if (timestamps_)
    out.timestamps = Timestamps{.value = milliseconds_of(now), .echo = recent_timestamp_};
  if (sack_) put_sack_blocks(out);
  acked_ = received_;
  duplicate_.reset();
  ack_at_ = Time::never();
  return out;
}

void ModelReceiver::put_sack_blocks(SegmentIn& segment) const {
  // RFC 2018 §4: the range that grew last comes first; RFC 2883 §4: a duplicate before that one.
  std::array<Range, 4> ranges;
  const std::span room = std::span(ranges).first(timestamps_ ? 3 : 4);
  std::size_t count = 0;
  if (duplicate_) room[count++] = *duplicate_;
  const auto newest = std::ranges::partial_sort_copy(
      early_, room.subspan(count), std::ranges::greater{}, &Range::touched, &Range::touched);
  count = static_cast<std::size_t>(newest.out - room.begin());
  for (const Range& range : room.first(count))
    segment.sacks.add({.begin = seq_of(range.begin), .end = seq_of(range.end)});
}

void ModelReceiver::put_early(Range arrived) {
  // Joined with all that it overlaps or touches.
  const auto first = std::ranges::lower_bound(early_, arrived.begin, {}, &Range::end);
  auto last = first;
  for (; last != early_.end() && last->begin <= arrived.end; ++last) {
    if (last->begin <= arrived.begin && arrived.end <= last->end) duplicate_ = arrived;
    arrived.begin = std::min(arrived.begin, last->begin);
    arrived.end = std::max(arrived.end, last->end);
  }
  arrived.touched = ++touches_;
  early_.insert(early_.erase(first, last), arrived);
}

void ModelReceiver::close_gap() {
  while (!early_.empty() && early_.front().begin <= received_) {
    received_ = std::max(received_, early_.front().end);
    early_.erase(early_.begin());
  }
}

std::optional<SegmentIn> ModelReceiver::receive(const SegmentOut& segment, Time now) {
  if (segment.flags.syn) {
    if (!established_) {
      established_ = true;
      server_iss_ = segment.seq;
      timestamps_ = setup_.timestamps && segment.timestamps.has_value();
      sack_ = setup_.sack && segment.syn_options.sack_permitted;
    }
    if (segment.timestamps) recent_timestamp_ = segment.timestamps->value;
    return acknowledgement(now);
  }
  if (!established_ || segment.payload_bytes == 0) return std::nullopt;
  const Range arrived{.begin = segment.stream_offset,
                      .end = segment.stream_offset + segment.payload_bytes};
  // RFC 7323 §4.3 (2).
  if (segment.timestamps && arrived.begin <= acked_) recent_timestamp_ = segment.timestamps->value;

  if (arrived.end <= received_) {
    duplicate_ = arrived;
    duplicate_bytes_ += segment.payload_bytes;
    return acknowledgement(now);
  }
  if (arrived.begin > received_) {
    put_early(arrived);
    if (duplicate_) duplicate_bytes_ += segment.payload_bytes;
    return acknowledgement(now);
  }
  const bool had_gap = !early_.empty();
  received_ = arrived.end;
  close_gap();
  if (had_gap || received_ - acked_ > setup_.mss_bytes) return acknowledgement(now);
  if (ack_at_ == Time::never()) ack_at_ = now + ack_delay;
  return std::nullopt;
}

std::optional<SegmentIn> ModelReceiver::on_timer(Time now) {
  if (now < ack_at_) return std::nullopt;
  return acknowledgement(now);
}

}  // namespace strictsend::tcp
