// SPDX-License-Identifier: Apache-2.0
#include "engine/transport/tcp/scoreboard.hpp"

#include <algorithm>
#include <utility>

namespace strictsend::tcp {

RunPool::RunPool(std::uint32_t connections, std::uint32_t shared)
    : runs_(1 + std::size_t{connections} * reserved_each + shared), shared_free_(shared) {
  for (std::uint32_t number = 1; number < runs_.size(); ++number) {
    runs_[number].next = free_;
    free_ = number;
  }
}

std::uint32_t RunPool::free_count() const {
  std::uint32_t count = 0;
  for (std::uint32_t number = free_; number != 0; number = runs_[number].next)
    ++count;
  return count;
}

Scoreboard::Scoreboard(Scoreboard&& other) noexcept
    : pool_(other.pool_),
      head_(std::exchange(other.head_, 0)),
      tail_(std::exchange(other.tail_, 0)),
      oldest_(std::exchange(other.oldest_, 0)),
      newest_(std::exchange(other.newest_, 0)),
      lost_hint_(std::exchange(other.lost_hint_, 0)),
      find_hint_(std::exchange(other.find_hint_, 0)),
      held_(std::exchange(other.held_, 0)),
      in_flight_(std::exchange(other.in_flight_, 0)),
      sacked_(std::exchange(other.sacked_, 0)),
      lost_(std::exchange(other.lost_, 0)) {}

// ---- the pool -----------------------------------------------------------------------------------

std::uint32_t Scoreboard::take() {
  if (!free_for_us()) return 0;
  const std::uint32_t number = pool_->free_;
  STRICTSEND_ASSERT(number != 0);
  if (held_ >= RunPool::reserved_each) --pool_->shared_free_;
  ++held_;
  pool_->free_ = ref(number).next;
  ref(number) = Run{};
  return number;
}

void Scoreboard::give_back(std::uint32_t number) {
  if (held_ > RunPool::reserved_each) ++pool_->shared_free_;
  --held_;
  ref(number).next = std::exchange(pool_->free_, number);
}

// ---- the two orders -----------------------------------------------------------------------------

void Scoreboard::time_append(std::uint32_t number) {
  Run& run = ref(number);
  run.older = newest_;
  run.newer = 0;
  (newest_ != 0 ? ref(newest_).newer : oldest_) = number;
  newest_ = number;
}

void Scoreboard::time_remove(std::uint32_t number) {
  const Run& run = ref(number);
  (run.older != 0 ? ref(run.older).newer : oldest_) = run.newer;
  (run.newer != 0 ? ref(run.newer).older : newest_) = run.older;
}

void Scoreboard::remove(std::uint32_t number) {
  const Run& run = ref(number);
  if (run.state == RunState::in_flight) time_remove(number);
  count(run.state, run.bytes, false);
  if (number == lost_hint_) lost_hint_ = next_lost(run.next);
  if (number == find_hint_) find_hint_ = run.next;
  (run.prev != 0 ? ref(run.prev).next : head_) = run.next;
  (run.next != 0 ? ref(run.next).prev : tail_) = run.prev;
  give_back(number);
}

std::uint32_t Scoreboard::split(std::uint32_t number, Position at) {
  const std::uint32_t second = take();
  if (second == 0) return 0;
  Run& run = ref(number);
  Run& rest = ref(second);
  rest = run;
  rest.begin = at;
  rest.bytes = static_cast<std::uint32_t>(run.end() - at);
  run.bytes -= rest.bytes;
  rest.prev = number;
  (run.next != 0 ? ref(run.next).prev : tail_) = second;
  run.next = second;
  if (run.state == RunState::in_flight) {
    rest.older = number;
    (run.newer != 0 ? ref(run.newer).older : newest_) = second;
    run.newer = second;
  }
  return second;
}

/// Joins the run with the one behind it if nothing tells them apart any more.
bool Scoreboard::join_next(std::uint32_t number) {
  Run& run = ref(number);
  if (run.next == 0) return false;
  const Run& next = ref(run.next);
  if (next.state != run.state) return false;
  const bool sent_alike = next.stamp.sent_at == run.stamp.sent_at &&
                          next.retransmitted == run.retransmitted &&
                          next.application_limited == run.application_limited;
  if (run.state == RunState::in_flight && !sent_alike) return false;
  const bool again = run.retransmitted || next.retransmitted;
  const std::uint32_t bytes = next.bytes;
  remove(run.next);
  count(run.state, bytes, true);
  run.bytes += bytes;
  run.retransmitted = again;
  return true;
}

std::uint32_t Scoreboard::join_neighbours(std::uint32_t number) {
  join_next(number);
  const std::uint32_t prev = ref(number).prev;
  return prev != 0 && join_next(prev) ? prev : number;
}

std::uint32_t Scoreboard::find(Position position) {
  std::uint32_t number = find_hint_ != 0 ? find_hint_ : head_;
  if (number == 0) return 0;
  while (ref(number).prev != 0 && ref(number).begin > position)
    number = ref(number).prev;
  while (number != 0 && ref(number).end() <= position)
    number = ref(number).next;
  find_hint_ = number;
  return number;
}

std::uint32_t Scoreboard::next_lost(std::uint32_t number) const {
  if (lost_ == 0) return 0;
  while (number != 0 && ref(number).state != RunState::lost)
    number = ref(number).next;
  return number;
}

std::uint32_t Scoreboard::repeated_bytes() const {
  std::uint32_t bytes = 0;
  for (const Run* run = at(oldest_); run != nullptr; run = at(run->newer))
    if (run->retransmitted) bytes += run->bytes;
  return bytes;
}

// ---- states -------------------------------------------------------------------------------------

void Scoreboard::count(RunState state, std::uint32_t bytes, bool more) {
  std::uint32_t& sum = state == RunState::in_flight ? in_flight_
                       : state == RunState::sacked  ? sacked_
                                                    : lost_;
  sum = more ? sum + bytes : sum - bytes;
}

void Scoreboard::become(std::uint32_t number, RunState state) {
  Run& run = ref(number);
  if (run.state == RunState::in_flight) time_remove(number);
  count(run.state, run.bytes, false);
  const bool was_first_lost = number == lost_hint_;
  run.state = state;
  count(state, run.bytes, true);
  if (state == RunState::in_flight) time_append(number);
  if (was_first_lost) lost_hint_ = next_lost(run.next);
}

void Scoreboard::lose(std::uint32_t number) {
  become(number, RunState::lost);
  if (lost_hint_ == 0 || ref(number).begin < ref(lost_hint_).begin) lost_hint_ = number;
}

void Scoreboard::sent_new(Position begin, std::uint32_t bytes, const SendStamp& stamp,
                          bool application_limited, bool retransmitted) {
  STRICTSEND_ASSERT(tail_ == 0 || ref(tail_).end() == begin);
  if (tail_ != 0) {
    Run& last = ref(tail_);
    const bool alike = last.state == RunState::in_flight && last.stamp.sent_at == stamp.sent_at &&
                       last.retransmitted == retransmitted &&
                       last.application_limited == application_limited;
    if (alike || !free_for_us()) {
      STRICTSEND_ASSERT(last.state == RunState::in_flight);
      last.bytes += bytes;
      in_flight_ += bytes;
      if (!alike) {  // no run to be had: all of it was sent as late as its last byte
        last.stamp = stamp;
        last.retransmitted = true;
        time_remove(tail_);
        time_append(tail_);
      }
      return;
    }
  }
  const std::uint32_t number = take();
  STRICTSEND_ASSERT(number != 0);
  Run& run = ref(number);
  run.stamp = stamp;
  run.begin = begin;
  run.bytes = bytes;
  run.application_limited = application_limited;
  run.retransmitted = retransmitted;
  run.prev = tail_;
  (tail_ != 0 ? ref(tail_).next : head_) = number;
  tail_ = number;
  in_flight_ += bytes;
  time_append(number);
}

void Scoreboard::sent_again(Position begin, std::uint32_t bytes, const SendStamp& stamp) {
  std::uint32_t number = find(begin);
  STRICTSEND_ASSERT(number != 0 && ref(number).begin <= begin &&
                    begin + bytes <= ref(number).end());
  STRICTSEND_ASSERT(ref(number).state != RunState::sacked);
  // Where there is no run for the rest, the rest counts as sent again too: RACK or the timer will
  // find out.
  if (ref(number).begin < begin) {
    if (const std::uint32_t second = split(number, begin); second != 0) number = second;
  }
  if (ref(number).begin == begin && ref(number).end() > begin + bytes) {
    split(number, begin + bytes);
  }
  if (ref(number).state == RunState::lost) {
    become(number, RunState::in_flight);
  } else {
    time_remove(number);
    time_append(number);
  }
  Run& run = ref(number);
  run.stamp = stamp;
  run.retransmitted = true;
  run.application_limited = false;
  if (run.prev != 0) join_next(run.prev);
}

std::uint32_t Scoreboard::lose_head(std::uint32_t bytes) {
  if (head_ == 0 || ref(head_).state != RunState::in_flight) return 0;
  if (ref(head_).bytes > bytes) split(head_, ref(head_).begin + bytes);
  const std::uint32_t lost = ref(head_).bytes;
  lose(head_);
  return lost;
}

std::uint32_t Scoreboard::lose_all() {
  return mark_lost([](const Run&) { return true; }, [](const Run&) { return true; });
}

void Scoreboard::join_lost() {
  for (std::uint32_t number = lost_hint_; number != 0; number = ref(number).next) {
    while (ref(number).state == RunState::lost && join_next(number)) {
    }
  }
}

void Scoreboard::forget_sacks() {
  for (std::uint32_t number = head_; number != 0; number = ref(number).next) {
    if (ref(number).state == RunState::sacked) lose(number);
  }
}

void Scoreboard::unlose() {
  // By position they mostly follow each other in time too, so each search goes on from the last.
  std::uint32_t before = 0;
  for (std::uint32_t number = head_; number != 0 && lost_ > 0; number = ref(number).next) {
    Run& run = ref(number);
    if (run.state != RunState::lost) continue;
    count(RunState::lost, run.bytes, false);
    count(RunState::in_flight, run.bytes, true);
    run.state = RunState::in_flight;
    if (before != 0 && ref(before).stamp.sent_at > run.stamp.sent_at) before = 0;
    std::uint32_t behind = before != 0 ? ref(before).newer : oldest_;
    while (behind != 0 && ref(behind).stamp.sent_at <= run.stamp.sent_at) {
      before = behind;
      behind = ref(behind).newer;
    }
    run.older = before;
    run.newer = behind;
    (before != 0 ? ref(before).newer : oldest_) = number;
    (behind != 0 ? ref(behind).older : newest_) = number;
    before = number;
  }
  lost_hint_ = 0;
}

void Scoreboard::clear() {
  while (head_ != 0)
    remove(head_);
}

void Scoreboard::check() const {
  std::uint32_t runs = 0;
  std::uint32_t timed = 0;
  std::uint32_t sums[3] = {};
  std::uint32_t first_lost = 0;
  for (std::uint32_t number = head_, prev = 0; number != 0; number = ref(number).next, ++runs) {
    const Run& run = ref(number);
    STRICTSEND_ASSERT(run.bytes > 0 && run.prev == prev);
    STRICTSEND_ASSERT(prev == 0 || ref(prev).end() == run.begin);
    sums[static_cast<std::size_t>(run.state)] += run.bytes;
    if (run.state == RunState::lost && first_lost == 0) first_lost = number;
    if (run.state == RunState::in_flight) ++timed;
    prev = number;
  }
  STRICTSEND_ASSERT(runs == held_ && lost_hint_ == first_lost);
  STRICTSEND_ASSERT(sums[0] == in_flight_ && sums[1] == sacked_ && sums[2] == lost_);
  for (std::uint32_t number = oldest_, older = 0; number != 0; number = ref(number).newer) {
    STRICTSEND_ASSERT(ref(number).older == older && timed > 0);
    STRICTSEND_ASSERT(older == 0 || ref(older).stamp.sent_at <= ref(number).stamp.sent_at);
    older = number;
    --timed;
  }
  STRICTSEND_ASSERT(timed == 0);
}

}  // namespace strictsend::tcp
