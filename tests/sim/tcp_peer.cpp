// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/tcp_peer.hpp"

#include <algorithm>

namespace strictsend::tcp {

namespace {
constexpr Duration repeat_after = milliseconds(400);
std::uint32_t milliseconds_of(Time now) {
  return static_cast<std::uint32_t>(now.ns / 1'000'000);
}
}  // namespace

std::uint32_t TcpPeer::window_bytes() const {
  return setup_.buffer_bytes - static_cast<std::uint32_t>(unread_);
}

SegmentIn TcpPeer::segment(Time now) const {
  SegmentIn out;
  out.seq = Seq(setup_.iss) + sent_;
  out.ack = server_iss_ + static_cast<std::uint32_t>(1 + received_ + (fin_taken_ ? 1 : 0));
  out.flags.ack = true;
  out.window = static_cast<std::uint16_t>(std::min<std::uint32_t>(window_bytes() >> scale_, 65535));
  if (setup_.timestamps) out.timestamps = Timestamps{.value = milliseconds_of(now), .echo = echo_};
  return out;
}

std::vector<SegmentIn> TcpPeer::start(Time now) {
  SegmentIn syn;
  syn.seq = Seq(setup_.iss);
  syn.flags.syn = true;
  syn.window = static_cast<std::uint16_t>(std::min<std::uint32_t>(setup_.buffer_bytes, 65535));
  syn.syn_options.mss = setup_.mss_bytes;
  if (setup_.window_scale > 0) syn.syn_options.window_scale = setup_.window_scale;
  syn.syn_options.sack_permitted = setup_.sack_permitted;
  if (setup_.timestamps) syn.timestamps = Timestamps{.value = milliseconds_of(now), .echo = 0};
  promised_ = syn.window;
  deadline_ = now + seconds(1);
  return {syn};
}

/// The request and the FIN, as far as they are not acknowledged.
std::vector<SegmentIn> TcpPeer::own_unacknowledged(Time now) {
  std::vector<SegmentIn> out;
  const std::uint32_t end = 1 + setup_.request_bytes;
  for (std::uint32_t at = std::max<std::uint32_t>(acked_, 1); at < end;) {
    SegmentIn data = segment(now);
    data.seq = Seq(setup_.iss) + at;
    data.payload_bytes = std::min<std::uint32_t>(end - at, setup_.mss_bytes - 12U);
    out.push_back(data);
    at += data.payload_bytes;
    sent_ = std::max(sent_, at);
  }
  if ((setup_.closes_first || fin_taken_) && acked_ <= end) {
    SegmentIn fin = segment(now);
    fin.seq = Seq(setup_.iss) + end;
    fin.flags.fin = true;
    sent_ = end + 1;
    out.push_back(fin);
  }
  deadline_ = out.empty() ? Time::never() : now + repeat_after;
  return out;
}

std::vector<SegmentIn> TcpPeer::on_timer(Time now) {
  if (!established_) return start(now);
  return own_unacknowledged(now);
}

std::vector<SegmentIn> TcpPeer::read(Time now) {
  if (!established_ || unread_ == 0) return {};
  const bool was_closed = window_bytes() < 2U * setup_.mss_bytes;
  unread_ = 0;
  if (!was_closed) return {};
  promised_ = std::max(promised_, received_ + window_bytes());
  return {segment(now)};
}

void TcpPeer::complain(const char* what, const SegmentOut& segment) {
  if (!complaint_.empty()) return;
  complaint_ = std::string(what) + " at offset " + std::to_string(segment.stream_offset) + "+" +
               std::to_string(segment.payload_bytes) + ", received " + std::to_string(received_) +
               ", promised " + std::to_string(promised_);
}

void TcpPeer::take_payload(const SegmentOut& segment) {
  const std::uint64_t begin = segment.stream_offset;
  // Beyond what fits now nothing is kept: a probe of a closed window.
  const std::uint64_t end =
      std::min<std::uint64_t>(begin + segment.payload_bytes, received_ + window_bytes());
  if (end <= received_ || end <= begin) return;
  std::uint64_t& known = early_[begin];
  known = std::max(known, end);
  merge_early();
  const std::uint64_t before = received_;
  for (auto range = early_.begin(); range != early_.end() && range->first <= received_;
       range = early_.erase(range))
    received_ = std::max(received_, range->second);
  unread_ += received_ - before;
}

/// Ranges that touch become one, as a receiver's queue does.
void TcpPeer::merge_early() {
  for (auto range = early_.begin(); range != early_.end();) {
    const auto next = std::next(range);
    if (next == early_.end() || next->first > range->second) {
      range = next;
      continue;
    }
    range->second = std::max(range->second, next->second);
    early_.erase(next);
  }
}

bool TcpPeer::has(std::uint64_t begin, std::uint64_t end) const {
  if (end <= received_) return true;
  const auto after = early_.upper_bound(begin);
  return after != early_.begin() && std::prev(after)->second >= end;
}

/// RFC 2018 §4: the block of the newest segment first; RFC 2883 §4: a duplicate before all.
SackBlocks TcpPeer::blocks(const SegmentOut& newest, bool duplicate) const {
  SackBlocks out;
  if (!sacks_) return out;
  const std::uint64_t begin = newest.stream_offset;
  const std::uint64_t end = begin + newest.payload_bytes;
  const auto add = [&](std::uint64_t from, std::uint64_t to) {
    if (out.count < (setup_.timestamps ? 3 : 4))
      out.add({server_iss_ + static_cast<std::uint32_t>(1 + from),
               server_iss_ + static_cast<std::uint32_t>(1 + to)});
  };
  if (duplicate && end > begin) add(begin, end);
  const auto of_newest = [&](const auto& range) {
    return range.first <= begin && begin < range.second;
  };
  for (const auto& range : early_)
    if (of_newest(range)) add(range.first, range.second);
  for (const auto& range : early_)
    if (!of_newest(range)) add(range.first, range.second);
  return out;
}

std::vector<SegmentIn> TcpPeer::receive(const SegmentOut& segment, Time now) {
  if (segment.flags.rst) {
    reset_ = true;
    return {};
  }
  if (segment.flags.syn) {
    if (established_) return {this->segment(now)};
    established_ = true;
    server_iss_ = segment.seq;
    acked_ = 1;
    if (segment.syn_options.window_scale) scale_ = setup_.window_scale;
    sacks_ = segment.syn_options.sack_permitted;
    if (segment.timestamps) echo_ = segment.timestamps->value;
    std::vector<SegmentIn> out = own_unacknowledged(now);
    out.insert(out.begin(), this->segment(now));
    return out;
  }
  if (!established_) return {};
  const Seq expected = server_iss_ + static_cast<std::uint32_t>(1 + segment.stream_offset);
  if (segment.payload_bytes > 0 && segment.seq != expected) complain("wrong number", segment);
  if (segment.payload_bytes > setup_.mss_bytes) complain("more than the MSS", segment);
  if (segment.payload_bytes > 1 && segment.stream_offset + segment.payload_bytes > promised_)
    complain("beyond the window", segment);
  if (segment.timestamps && segment.stream_offset <= received_) echo_ = segment.timestamps->value;

  const std::uint32_t own = segment.ack.since(Seq(setup_.iss));
  const std::uint32_t own_end = 1 + setup_.request_bytes + 1;
  if (own > own_end) {
    complain("acknowledges what was never sent", segment);
  } else if (own > acked_) {
    acked_ = own;
    if (acked_ >= 1 + setup_.request_bytes && !setup_.closes_first && !fin_taken_)
      deadline_ = Time::never();
  }
  if (segment.payload_bytes == 0 && !segment.flags.fin) return {};
  const bool duplicate = has(segment.stream_offset, segment.stream_offset + segment.payload_bytes);
  take_payload(segment);
  if (setup_.reneges && !reneged_ && early_.size() > 2) {
    reneged_ = true;
    early_.clear();
  }
  if (segment.flags.fin) {
    const std::uint64_t at = segment.stream_offset + segment.payload_bytes;
    if (fin_seen_ && at != fin_at_) complain("the FIN moved", segment);
    fin_seen_ = true;
    fin_at_ = at;
  }
  const bool fin_before = fin_taken_;
  fin_taken_ = fin_seen_ && received_ == fin_at_;
  promised_ = std::max(promised_, received_ + window_bytes());
  if (fin_taken_ && !fin_before) {
    std::vector<SegmentIn> out = own_unacknowledged(now);
    if (out.empty()) out.push_back(this->segment(now));
    return out;
  }
  SegmentIn answer = this->segment(now);
  answer.sacks = blocks(segment, duplicate);
  return {answer};
}

}  // namespace strictsend::tcp
