// SPDX-License-Identifier: Apache-2.0
#include "engine/transport/tcp/sender.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace strictsend::tcp {

namespace {

/// No segment takes more than this part of a window: a receiver that answers each of them once (it
/// puts packets together again, as Linux's GRO does) then still tells of a lost one by three
/// duplicates (RFC 5681 §3.2), and acknowledgements go on clocking what is sent.
constexpr std::uint32_t window_parts_min = 4;
/// And new data waits for acknowledgements until so much of the window is free, or every one of
/// them would let out a short segment, and a long one would never come again (Linux's
/// tcp_tso_should_defer). At least seven eighths are in flight then, of eight packets or more: the
/// answer to them cannot be a delayed one alone.
constexpr std::uint32_t window_parts_awaited = 8;

}  // namespace

Sender::Sender(Seq iss, std::uint32_t mss_bytes, std::uint32_t segment_bytes_max, Duration rto_min,
               Duration rto_max, std::uint32_t peer_window_bytes)
    : iss_(iss),
      mss_(mss_bytes),
      segment_bytes_max_(segment_bytes_max),
      window_edge_(1 + Position{peer_window_bytes}),
      window_bytes_max_(peer_window_bytes),
      rtt_(rto_min, rto_max),
      congestion_(CongestionAlgorithm::reno, mss_bytes) {
  STRICTSEND_ASSERT(segment_bytes_max >= mss_bytes && segment_bytes_max % mss_bytes == 0);
}

void Sender::enqueue(std::uint64_t bytes) {
  STRICTSEND_ASSERT(!fin_queued_);
  end_ += bytes;
}

void Sender::retract(std::uint64_t bytes) {
  STRICTSEND_ASSERT(bytes <= end_ - 1 && end_ - bytes >= std::max<Position>(max_, 1));
  STRICTSEND_ASSERT(max_ <= end_);  // a FIN that went out has fixed the end
  end_ -= bytes;
}

std::uint32_t Sender::flight_bytes() const {
  return static_cast<std::uint32_t>(nxt_ - una_);
}

std::uint32_t Sender::window_bytes() const {
  return window_edge_ > una_ ? static_cast<std::uint32_t>(window_edge_ - una_) : 0;
}

void Sender::handshake_done(Time now) {
  established_ = true;
  if (counters_.rto_fires > 0) {
    rtt_.handshake_was_retransmitted();
    congestion_.start_with_one_segment();  // RFC 5681 §3.1
  }
  update_timer(now);
}

void Sender::repeat_syn() {
  STRICTSEND_ASSERT(!established_);
  retransmit_now_ = nxt_ > 0;
}

// ---- what to send -------------------------------------------------------------------------------

bool Sender::idle_since_rto(Time now) const {
  return una_ == max_ && now - last_sent_ > rtt_.rto();
}

std::uint32_t Sender::allowance_bytes(Time now) const {
  if (in_recovery_) return recovery_window_;
  if (idle_since_rto(now)) return congestion_.restart_window_bytes();  // RFC 5681 §4.1
  // Limited transmit, RFC 3042: the first two duplicates each let one new segment out.
  const std::uint32_t extra = nxt_ == max_ ? std::min(duplicates_, 2U) * mss_ : 0;
  return congestion_.cwnd_bytes() + extra;
}

/// As many whole packets as make one of so many parts of the windows, and one segment at most. One
/// at least, and while something is lost: the receiver may have kept those behind.
std::uint32_t Sender::segment_bytes(std::uint32_t allowance, std::uint32_t parts) const {
  if (in_recovery_ || duplicates_ > 0 || nxt_ < max_) return mss_;
  const std::uint32_t part = std::min(window_bytes(), allowance) / parts;
  return std::clamp(part / mss_ * mss_, mss_, segment_bytes_max_);
}

/// How much must be free of the window before new data goes; 0: that is no condition.
std::uint32_t Sender::awaited_bytes(std::uint32_t allowance) const {
  const std::uint32_t bytes = segment_bytes(allowance, window_parts_awaited);
  return bytes > mss_ ? bytes : 0;
}

Chunk Sender::chunk(Position begin, std::uint64_t payload_bytes, bool fin) const {
  return Chunk{.begin = begin,
               .payload_bytes = static_cast<std::uint32_t>(payload_bytes),
               .syn = begin == 0,
               .fin = fin,
               .push = payload_bytes > 0 && begin + payload_bytes == end_,
               .retransmission = begin < max_};
}

std::optional<Chunk> Sender::first_outstanding() const {
  if (una_ == 0) return chunk(0, 0, false);
  const Position data_end = std::min(max_, end_);
  if (una_ >= data_end) return chunk(una_, 0, true);
  const std::uint64_t bytes = std::min<std::uint64_t>({data_end - una_, mss_, window_bytes()});
  if (bytes == 0) return std::nullopt;  // the peer took its window back: the timer probes
  const bool fin = una_ + bytes == end_ && max_ > end_ && window_bytes() > bytes;
  return chunk(una_, bytes, fin);
}

/// What follows nxt, if the windows let it and it is worth a segment. `forced`: the timer fired.
std::optional<Chunk> Sender::pending(Time now, bool forced) const {
  if (!established_) return nxt_ == 0 ? std::optional(chunk(0, 0, false)) : std::nullopt;
  if (nxt_ == last()) return std::nullopt;
  const std::uint64_t window = window_edge_ > nxt_ ? window_edge_ - nxt_ : 0;
  const bool probe = forced && nxt_ == una_;
  if (nxt_ >= end_) return window > 0 || probe ? std::optional(chunk(nxt_, 0, true)) : std::nullopt;

  const std::uint32_t allowance = allowance_bytes(now);
  const Position allowed_end = una_ + allowance;
  const std::uint64_t room = std::min(window, allowed_end > nxt_ ? allowed_end - nxt_ : 0);
  const std::uint64_t left = end_ - nxt_;
  std::uint64_t take =
      std::min<std::uint64_t>({left, room, segment_bytes(allowance, window_parts_min)});
  if (take > mss_ && take < left)
    take -= take % mss_;  // only the end of the data is no whole packet
  if (nxt_ > una_ && !forced && take < left && take < awaited_bytes(allowance)) return std::nullopt;
  // Silly window avoidance, RFC 9293 §3.8.6.2.1: a full segment, or all there is, or half of the
  // largest window ever seen, or the override time is over. Without Nagle's wait for una == nxt:
  // who enqueues here enqueues whole responses.
  const bool worth =
      take > 0 && (take >= mss_ || take == left || take >= window_bytes_max_ / 2 || forced);
  if (worth) return chunk(nxt_, take, fin_queued_ && take == left && window > take);
  if (probe && window == 0) return chunk(nxt_, 1, false);  // RFC 9293 §3.8.6.1
  return std::nullopt;
}

std::optional<Chunk> Sender::next(Time now) const {
  if (retransmit_now_) {
    if (const std::optional<Chunk> first = first_outstanding()) return first;
  }
  return pending(now, forced_);
}

void Sender::sent(const Chunk& chunk, Time now) {
  const Position end =
      chunk.begin + chunk.payload_bytes + (chunk.syn ? 1U : 0U) + (chunk.fin ? 1U : 0U);
  STRICTSEND_ASSERT(end > chunk.begin && end <= last());
  STRICTSEND_ASSERT(!chunk.fin || end == end_ + 1);
  const bool again = chunk.begin < max_;
  if (again) {
    ++counters_.retransmissions;
    timing_ = false;  // Karn: its acknowledgement would be ambiguous
  }
  if (retransmit_now_ && chunk.begin == una_) {
    STRICTSEND_ASSERT(end <= max_);
    retransmit_now_ = false;
    // Its acknowledgement takes a round trip from now. During the handshake the peer's repeated
    // SYNs must not put the timer off for ever.
    if (established_) arm(Timer::retransmit, now + rtt_.rto());
  } else if (established_ && chunk.begin == una_ && nxt_ == una_ && end > window_edge_) {
    // A probe lies beyond the window, so it is not in flight: nxt stays, and so does the persist
    // timer. Its acknowledgement is valid all the same, thus max.
    STRICTSEND_ASSERT(forced_ && end == una_ + 1);
    ++counters_.window_probes;
    max_ = std::max(max_, end);
  } else {
    STRICTSEND_ASSERT(chunk.begin == nxt_);
    STRICTSEND_ASSERT(chunk.syn || end <= window_edge_);
    if (idle_since_rto(now) && established_) congestion_.on_idle(now);
    if (!again && !timing_) {
      timing_ = true;
      timed_end_ = std::min(end, chunk.begin + mss_);  // the first packet of several
      timed_at_ = now;
    }
    nxt_ = end;
    max_ = std::max(max_, end);
    if (una_ >= flight_peak_until_ || flight_bytes() > flight_peak_) {
      flight_peak_ = flight_bytes();
      flight_peak_until_ = nxt_;
    }
  }
  forced_ = false;
  last_sent_ = now;
  update_timer(now);
  check();
}

// ---- timer --------------------------------------------------------------------------------------

void Sender::arm(Timer timer, Time deadline) {
  timer_ = timer;
  deadline_ = deadline;
}

Duration Sender::persist_interval() const {
  const Duration limit = rtt_.rto_max();
  Duration interval = rtt_.base_rto();
  for (std::uint8_t i = 0; i < persist_back_offs_ && interval < limit; ++i)
    interval = interval * 2;
  return std::min(interval, limit);
}

void Sender::update_timer(Time now) {
  if (nxt_ > una_) {  // RFC 6298 §5.1
    if (timer_ != Timer::retransmit) arm(Timer::retransmit, now + rtt_.rto());
  } else if (established_ && nxt_ != last() && !pending(now, false)) {
    if (timer_ == Timer::persist) return;
    persist_back_offs_ = 0;
    arm(Timer::persist, now + persist_interval());
  } else {
    arm(Timer::none, Time::never());
  }
}

std::uint32_t Sender::on_deadline(Time now) {
  STRICTSEND_ASSERT(now >= deadline_);
  ++unanswered_;
  forced_ = true;
  if (timer_ == Timer::persist) {
    persist_back_offs_ = static_cast<std::uint8_t>(std::min(persist_back_offs_ + 1, 31));
    arm(Timer::persist, now + persist_interval());
  } else {  // RFC 6298 §5.4 to 5.6, RFC 6582 §3.2 step 4
    ++counters_.rto_fires;
    if (established_) congestion_.on_timeout(flight_bytes(), unanswered_ > 1, now);
    rtt_.back_off();
    timing_ = false;
    in_recovery_ = false;
    retransmit_now_ = false;
    duplicates_ = 0;
    recover_ = max_;
    nxt_ = una_;
    arm(Timer::none, Time::never());
  }
  check();
  return unanswered_;
}

void Sender::check() const {
  STRICTSEND_ASSERT(una_ <= nxt_ && nxt_ <= max_ && max_ <= last());
  STRICTSEND_ASSERT(timer_ != Timer::none || deadline_ == Time::never());
  STRICTSEND_ASSERT(timer_ == Timer::retransmit || nxt_ == una_);
  STRICTSEND_ASSERT(congestion_.cwnd_bytes() >= mss_);
}

}  // namespace strictsend::tcp
