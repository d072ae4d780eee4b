// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

#include "base/clock.hpp"

namespace strictsend::engine {

/// A timer's place in the wheel; embedded in what it is for (`owner`). Engine thread.
struct Timer {
  Timer* prev = nullptr;
  Timer* next = nullptr;
  void* owner = nullptr;
  Time at = Time::never();  ///< when it should fire; may be later than the slot that it stands in
  std::uint32_t slot = 0;
  bool linked = false;
};

/// A hashed timing wheel (Varghese and Lauck, SOSP 1987, scheme 6) of one tick per millisecond, or
/// of finer ones.
/// Setting and clearing are O(1); a deadline beyond one turn is looked at again every turn. Those
/// stand in a few slots together, so that whoever sleeps until the next is not woken for each of
/// them.
/// Moving a deadline *later*, which every ACK does, only changes `at`: the timer is put right when
/// its old slot comes by. Fires never early and at most one tick late.
class TimerWheel {
 public:
  static constexpr std::uint32_t slots = 4096;
  static constexpr Duration tick = milliseconds(1);

  explicit TimerWheel(Time start, Duration tick_length = tick);

  /// Sets or moves the timer; Time::never() clears it.
  void set(Timer& timer, Time at);
  void clear(Timer& timer);

  /// Calls fire(owner) for every timer that is due at `now`; it may set and clear timers.
  template <class Fire>
  void advance(Time now, Fire&& fire) {
    const std::int64_t target = tick_of(now);
    while (current_ < target) {
      // A gap longer than one turn visits each slot once.
      if (target - current_ > slots) current_ = target - slots;
      ++current_;
      if (!occupied(index_of(current_))) continue;
      Timer* due = take_slot(index_of(current_));
      while (due != nullptr) {
        Timer* next = due->next;
        due->prev = due->next = nullptr;
        due->linked = false;
        if (due->at <= now) {
          due->at = Time::never();
          // What fires may clear timers that are still on the taken list, so that list is a slot of
          // its own while it is walked.
          walking_ = next;
          if (next != nullptr) next->prev = nullptr;
          fire(due->owner);
          next = walking_;
        } else {
          link(*due, due->at);
        }
        due = next;
      }
      walking_ = nullptr;
    }
  }

  /// A time not after the next deadline, and exact to a tick when that lies within one turn.
  [[nodiscard]] Time next_deadline() const;

 private:
  [[nodiscard]] std::int64_t tick_of(Time t) const { return t.ns / tick_.ns; }
  static std::uint32_t index_of(std::int64_t tick_number) {
    return static_cast<std::uint32_t>(tick_number) & (slots - 1);
  }
  [[nodiscard]] bool occupied(std::uint32_t slot) const {
    return (bitmap_[slot / 64] >> (slot % 64) & 1) != 0;
  }
  Timer* take_slot(std::uint32_t slot);
  void link(Timer& timer, Time at);
  void unlink(Timer& timer);

  static constexpr std::int64_t far_ticks = 64;    // apart, the slots of what lies beyond one turn
  static constexpr std::uint32_t no_slot = slots;  // on the list that `advance` is walking

  const Duration tick_;
  std::int64_t current_;  // the tick up to which everything has fired
  Timer* walking_ = nullptr;
  std::array<Timer*, slots> heads_{};
  std::array<std::uint64_t, slots / 64> bitmap_{};
};

}  // namespace strictsend::engine
