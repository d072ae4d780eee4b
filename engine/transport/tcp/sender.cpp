// SPDX-License-Identifier: Apache-2.0
// What a Sender puts on the wire next, and what it remembers of it.
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

// Devices refuse to cut into small packets, or take who asks for it for malicious.
constexpr std::uint32_t cut_mss_bytes_min = 512;

/// How much of the stream one segment may carry, as a whole number of packets.
std::uint32_t segment_bytes_limit(std::uint32_t wanted_bytes, std::uint32_t mss_bytes) {
  if (mss_bytes < cut_mss_bytes_min) return mss_bytes;
  return std::max(wanted_bytes / mss_bytes, 1U) * mss_bytes;
}

}  // namespace

Sender::Sender(const SenderSetup& setup, RunPool& pool)
    : iss_(setup.iss),
      mss_agreed_(setup.mss_bytes),
      mss_base_(setup.mss_base_bytes),
      segment_bytes_wanted_(setup.segment_bytes_max),
      sack_(setup.sack),
      pacing_(setup.pacing),
      mss_(setup.mss_bytes),
      segment_bytes_max_(segment_bytes_limit(setup.segment_bytes_max, setup.mss_bytes)),
      window_edge_(1 + Position{setup.peer_window_bytes}),
      window_bytes_max_(setup.peer_window_bytes),
      board_(pool),
      rtt_(setup.rto_min, setup.rto_max),
      congestion_(setup.congestion, setup.mss_bytes) {}

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

std::uint32_t Sender::in_flight_bytes() const {
  const std::uint32_t bytes = board_.in_flight_bytes();
  return bytes > duplicate_bytes_ ? bytes - duplicate_bytes_ : 0;
}

std::uint32_t Sender::window_bytes() const {
  return window_edge_ > una_ ? static_cast<std::uint32_t>(window_edge_ - una_) : 0;
}

std::uint32_t Sender::cwnd_bytes() const {
  return reducing() && congestion_.uses_prr() ? prr_window_ : congestion_.cwnd_bytes();
}

void Sender::handshake_done(Time now) {
  established_ = true;
  if (syn_repeated_) {
    rtt_.handshake_was_retransmitted();
    congestion_.start_with_one_segment();  // RFC 5681 §3.1
  }
  update_timer(now);
}

void Sender::repeat_syn() {
  STRICTSEND_ASSERT(!established_);
  syn_again_ = nxt_ > 0;
}

void Sender::set_mss(std::uint32_t mss_bytes) {
  if (mss_bytes < mss_) ++counters_.mss_reductions;
  mss_ = mss_bytes;
  segment_bytes_max_ = segment_bytes_limit(segment_bytes_wanted_, mss_);
  congestion_.set_mss(mss_);
}

// ---- what to send -------------------------------------------------------------------------------

bool Sender::idle_since_rto(Time now) const {
  return una_ == max_ && now - last_sent_ > rtt_.rto();
}

std::uint32_t Sender::allowance_bytes(Time now) const {
  if (!reducing() && idle_since_rto(now))
    return congestion_.restart_window_bytes();  // RFC 5681 §4.1
  return cwnd_bytes();
}

/// As many whole packets as make one of so many parts of the windows, and one segment at most. One
/// at least, and while something is lost: the receiver may have kept those behind.
std::uint32_t Sender::segment_bytes(std::uint32_t allowance, std::uint32_t parts) const {
  const bool losing = phase_ != Phase::open || duplicates_ > 0 || board_.sacked_bytes() > 0;
  if (losing || nxt_ < max_) return mss_;
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

/// One packet of [begin, end), as far as the peer's window lets it.
std::optional<Chunk> Sender::repeat(Position begin, Position end) const {
  if (begin >= end_) return chunk(begin, 0, true);
  const Position window_end = std::max(window_edge_, begin);
  const Position data_end = std::min({end, end_, begin + mss_, window_end});
  // The peer took its window back: the persist timer probes.
  if (data_end == begin) return forced_ ? std::optional(chunk(begin, 1, false)) : std::nullopt;
  return chunk(begin, data_end - begin, data_end == end_ && end > end_ && window_end > end_);
}

std::optional<Chunk> Sender::lost(Time now) const {
  const Run* run = board_.first_lost();
  // A window that was taken back is probed with the first byte, lost or not.
  if (run == nullptr && forced_ && window_bytes() == 0) run = board_.head();
  if (run == nullptr) return std::nullopt;
  const std::optional<Chunk> again = repeat(run->begin, run->end());
  if (!again || retransmit_now_ || forced_) return again;
  const std::uint64_t in_flight = in_flight_bytes();
  const bool room = in_flight == 0 || in_flight + again->payload_bytes <= allowance_bytes(now);
  return room ? again : std::nullopt;
}

/// RFC 8985 §7.3: new data if there is some, else the last packet once more.
std::optional<Chunk> Sender::tail_probe(Time now) const {
  if (const std::optional<Chunk> fresh = pending(now, true)) return fresh;
  const Run* run = board_.tail();
  if (run == nullptr || run->state != RunState::in_flight) return std::nullopt;
  const Position begin = run->end() - std::min<std::uint64_t>(run->bytes, mss_);
  return repeat(begin, run->end());
}

/// What follows nxt, if the windows let it and it is worth a segment. `forced`: a timer fired.
std::optional<Chunk> Sender::pending(Time now, bool forced) const {
  if (nxt_ == last() || !board_.has_room()) return std::nullopt;
  const std::uint64_t window = window_edge_ > nxt_ ? window_edge_ - nxt_ : 0;
  const bool probe = forced && nxt_ == una_;
  if (nxt_ >= end_) return window > 0 || probe ? std::optional(chunk(nxt_, 0, true)) : std::nullopt;

  const std::uint32_t allowance = allowance_bytes(now);
  const std::uint32_t in_flight = in_flight_bytes();
  std::uint64_t room = allowance > in_flight ? allowance - in_flight : 0;
  if (forced) room = std::max<std::uint64_t>(room, mss_);
  const std::uint64_t left = end_ - nxt_;
  std::uint64_t take =
      std::min<std::uint64_t>({left, window, room, segment_bytes(allowance, window_parts_min)});
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
  if (!established_)
    return nxt_ == 0 || syn_again_ ? std::optional(chunk(0, 0, false)) : std::nullopt;
  if (tail_probe_.due) {
    if (const std::optional<Chunk> probe = tail_probe(now)) return probe;
  }
  const bool at_once = (retransmit_now_ && board_.lost_bytes() > 0) || forced_;
  if (!at_once && !pacer_.allows(now)) return std::nullopt;
  if (const std::optional<Chunk> again = lost(now)) return again;
  // What is lost goes before what is new: RFC 6675 §4, NextSeg (1).
  if (board_.lost_bytes() > 0) return std::nullopt;
  return pending(now, forced_);
}

// ---- what was sent ------------------------------------------------------------------------------

void Sender::sent(const Chunk& chunk, Time now) {
  const Position end =
      chunk.begin + chunk.payload_bytes + (chunk.syn ? 1U : 0U) + (chunk.fin ? 1U : 0U);
  STRICTSEND_ASSERT(end > chunk.begin && end <= last());
  STRICTSEND_ASSERT(!chunk.fin || end == end_ + 1);
  if (chunk.begin < max_) {
    ++counters_.retransmissions;
    counters_.retransmitted_bytes += chunk.payload_bytes;
  }
  if (chunk.syn) {
    sent_syn(now);
  } else if (chunk.begin < nxt_) {
    sent_again(chunk, end, now);
  } else if (chunk.begin == una_ && nxt_ == una_ && end > window_edge_) {
    // A probe lies beyond the window, so it is not in flight: nxt stays, and so does the persist
    // timer. Its acknowledgement is valid all the same, thus max.
    STRICTSEND_ASSERT(forced_ && end == una_ + 1);
    ++counters_.window_probes;
    max_ = std::max(max_, end);
  } else {
    sent_new(chunk, end, now);
  }
  forced_ = false;
  last_sent_ = now;
  if (!pacer_.allows(now)) release_at_ = pacer_.release_at();
  update_timer(now);
  check();
}

void Sender::sent_syn(Time now) {
  syn_repeated_ = nxt_ > 0;
  if (!syn_repeated_) syn_sent_at_ = now;
  syn_again_ = false;
  nxt_ = max_ = 1;
}

void Sender::sent_again(const Chunk& chunk, Position end, Time now) {
  const auto bytes = static_cast<std::uint32_t>(end - chunk.begin);
  // A probe is in flight no more than the rest. What else goes here must count as sent, or it would
  // go for ever: a FIN needs no room.
  if (forced_ && window_bytes() == 0 && una_ < end_) {
    ++counters_.window_probes;
    retransmit_now_ = false;
    return;
  }
  board_.sent_again(chunk.begin, bytes, rate_.stamp(now, board_.in_flight_bytes() == 0));
  if (reducing()) prr_.sent(bytes);
  pacer_.sent(bytes, now);
  if (undo_.armed) {
    undo_.repeated_bytes += bytes;
    if (!undo_.repeated) undo_.first_repeat_at = now;
    undo_.repeated = true;
  }
  if (tail_probe_.due) {
    tail_probe_ = {.out = true, .retransmission = true, .end = nxt_};
    ++counters_.tail_loss_probes;
  }
  // Its acknowledgement takes a round trip from now.
  if (chunk.begin == una_) arm(Timer::none, Time::never());
  retransmit_now_ = false;
}

void Sender::sent_new(const Chunk& chunk, Position end, Time now) {
  STRICTSEND_ASSERT(chunk.begin == nxt_ && end <= window_edge_);
  if (idle_since_rto(now)) congestion_.on_idle(now);
  const auto bytes = static_cast<std::uint32_t>(end - chunk.begin);
  board_.sent_new(chunk.begin, bytes, rate_.stamp(now, board_.in_flight_bytes() == 0),
                  rate_.is_application_limited(), chunk.begin < max_);
  nxt_ = end;
  max_ = std::max(max_, end);
  if (reducing()) prr_.sent(bytes);
  pacer_.sent(bytes, now);
  owes_cwr_ = false;
  if (tail_probe_.due) {
    tail_probe_ = {.out = true, .retransmission = false, .end = nxt_};
    ++counters_.tail_loss_probes;
  }
  if (una_ >= flight_peak_until_ || flight_bytes() > flight_peak_) {
    flight_peak_ = flight_bytes();
    flight_peak_until_ = nxt_;
  }
  // All that there is has been sent, and the window is not full: it was not the path that limited.
  if (nxt_ == last() && in_flight_bytes() < congestion_.cwnd_bytes())
    rate_.application_limited(in_flight_bytes());
  schedule_tail_probe(now);
}

void Sender::check() const {
  STRICTSEND_ASSERT(una_ <= nxt_ && nxt_ <= max_ && max_ <= last());
  STRICTSEND_ASSERT(timer_ != Timer::none || deadline_ == Time::never());
  STRICTSEND_ASSERT(congestion_.cwnd_bytes() >= mss_);
  if (!established_ || una_ == 0 || forgotten_) return;
  STRICTSEND_ASSERT(board_.in_flight_bytes() + board_.sacked_bytes() + board_.lost_bytes() ==
                    flight_bytes());
  STRICTSEND_ASSERT(board_.empty() || board_.head()->begin == una_);
}

}  // namespace strictsend::tcp
