// SPDX-License-Identifier: Apache-2.0
#include "engine/loop/timer_wheel.hpp"

#include <algorithm>
#include <bit>

namespace strictsend::engine {

TimerWheel::TimerWheel(Time start, Duration tick_length)
    : tick_(tick_length), current_(tick_of(start)) {}

void TimerWheel::set(Timer& timer, Time at) {
  if (at == Time::never()) {
    clear(timer);
    return;
  }
  if (timer.linked && at >= timer.at) {
    timer.at = at;  // its slot comes by before that and puts it right
    return;
  }
  if (timer.linked) unlink(timer);
  timer.at = at;
  link(timer, at);
}

void TimerWheel::clear(Timer& timer) {
  if (timer.linked) unlink(timer);
  timer.at = Time::never();
}

Time TimerWheel::next_deadline() const {
  for (std::uint32_t ahead = 1; ahead <= slots;) {
    const std::uint32_t slot = index_of(current_ + ahead);
    const std::uint64_t bits = bitmap_[slot / 64] >> (slot % 64);
    if (bits != 0) {
      ahead += static_cast<std::uint32_t>(std::countr_zero(bits));
      return Time{(current_ + std::min(ahead, slots)) * tick_.ns};
    }
    ahead += 64 - slot % 64;
  }
  return Time::never();
}

Timer* TimerWheel::take_slot(std::uint32_t slot) {
  Timer* head = heads_[slot];
  heads_[slot] = nullptr;
  bitmap_[slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
  for (Timer* timer = head; timer != nullptr; timer = timer->next)
    timer->slot = no_slot;
  return head;
}

void TimerWheel::link(Timer& timer, Time at) {
  // Rounded up, so that nothing fires early; never into the slot that has just been passed.
  const std::int64_t wanted = (at.ns + tick_.ns - 1) / tick_.ns;
  std::int64_t tick_number = std::max(wanted, current_ + 1);
  if (tick_number > current_ + slots) tick_number = (current_ + slots) / far_ticks * far_ticks;
  const std::uint32_t slot = index_of(tick_number);
  timer.slot = slot;
  timer.prev = nullptr;
  timer.next = heads_[slot];
  if (timer.next != nullptr) timer.next->prev = &timer;
  heads_[slot] = &timer;
  bitmap_[slot / 64] |= std::uint64_t{1} << (slot % 64);
  timer.linked = true;
}

void TimerWheel::unlink(Timer& timer) {
  if (timer.prev != nullptr) {
    timer.prev->next = timer.next;
  } else if (timer.slot == no_slot) {
    walking_ = timer.next;
  } else {
    heads_[timer.slot] = timer.next;
    if (timer.next == nullptr) bitmap_[timer.slot / 64] &= ~(std::uint64_t{1} << (timer.slot % 64));
  }
  if (timer.next != nullptr) timer.next->prev = timer.prev;
  timer.prev = timer.next = nullptr;
  timer.linked = false;
}

}  // namespace strictsend::engine
