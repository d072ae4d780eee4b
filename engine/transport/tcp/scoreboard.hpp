// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "base/assert.hpp"
#include "base/clock.hpp"

namespace strictsend::tcp {

/// A place in the sent sequence space, counted from our SYN and never wrapping: 0 is the SYN, 1 the
/// first byte of the stream, the one behind the last byte is the FIN. On the wire it is
/// iss + position (mod 2^32).
using Position = std::uint64_t;

/// What is remembered of a transmission: for RACK when it was, and for the delivery rate how much
/// had been delivered by then (draft-cheng-iccrg-delivery-rate-estimation §3.1.1).
struct SendStamp {
  Time sent_at;
  Time first_sent_at;  ///< of the flight that it belongs to
  Time delivered_at;   ///< when `delivered` was reached
  std::uint64_t delivered = 0;
};

enum class RunState : std::uint8_t {
  in_flight,
  sacked,  ///< the receiver has it, and may still drop it (RFC 2018 §8)
  lost,    ///< to be sent again
};

/// Neighbouring bytes of the stream that have met with the same fate.
struct Run {
  SendStamp stamp;  ///< of the last transmission
  Position begin = 0;
  std::uint32_t bytes = 0;
  std::uint32_t prev = 0, next = 0;    // by position; `next` also links what is free
  std::uint32_t older = 0, newer = 0;  // by time of transmission, those in flight alone
  RunState state = RunState::in_flight;
  bool retransmitted = false;
  bool application_limited = false;

  [[nodiscard]] Position end() const { return begin + bytes; }
};
static_assert(sizeof(Run) == 64);

/// The runs of all connections of one engine thread, taken once at the start. Every connection has
/// a few that nobody else can take, so that one with a torn window (or a receiver that tears it on
/// purpose) costs the others precision and never progress.
class RunPool {
 public:
  static constexpr std::uint32_t reserved_each = 8;
  static constexpr std::uint32_t each_max = 1024;  ///< bounds what one acknowledgement can cost

  /// `shared`: on top of what is reserved.
  RunPool(std::uint32_t connections, std::uint32_t shared);
  RunPool(const RunPool&) = delete;
  RunPool& operator=(const RunPool&) = delete;

  [[nodiscard]] std::uint64_t memory_bytes() const { return runs_.size() * sizeof(Run); }
  [[nodiscard]] std::uint32_t shared_free() const { return shared_free_; }
  [[nodiscard]] std::uint32_t free_count() const;  ///< in time linear in it: for tests

 private:
  friend class Scoreboard;
  std::vector<Run> runs_;  // 0 stands for none
  std::uint32_t free_ = 0;
  std::uint32_t shared_free_;
};

/// Everything between SND.UNA and SND.NXT: what is in flight, what the receiver has, what is lost
/// (RFC 6675 §2, §4), and when each was sent last (RFC 8985 §5.2).
///
///     una                                                         nxt
///      |  lost  | in flight, again |  sacked  |  lost  |  in flight  |
///
/// Without a free run a boundary is forgotten on the safe side: bytes count as not arrived, or as
/// sent later than they were. Owned by its Sender; the pool outlives it. Nothing allocates.
class Scoreboard {
 public:
  explicit Scoreboard(RunPool& pool) : pool_(&pool) {}
  Scoreboard(Scoreboard&& other) noexcept;
  Scoreboard& operator=(Scoreboard&&) = delete;
  ~Scoreboard() { clear(); }

  [[nodiscard]] bool empty() const { return head_ == 0; }
  [[nodiscard]] std::uint32_t in_flight_bytes() const { return in_flight_; }
  [[nodiscard]] std::uint32_t sacked_bytes() const { return sacked_; }
  [[nodiscard]] std::uint32_t lost_bytes() const { return lost_; }
  [[nodiscard]] const Run* head() const { return at(head_); }
  [[nodiscard]] const Run* tail() const { return at(tail_); }
  /// The lowest bytes to be sent again; null: none.
  [[nodiscard]] const Run* first_lost() const { return at(lost_hint_); }

  /// In flight for the second time or more; walks all runs.
  [[nodiscard]] std::uint32_t repeated_bytes() const;

  /// Whether new data can be recorded.
  [[nodiscard]] bool has_room() const {
    return free_for_us() || (tail_ != 0 && ref(tail_).state == RunState::in_flight);
  }
  /// New data behind everything else.
  void sent_new(Position begin, std::uint32_t bytes, const SendStamp& stamp,
                bool application_limited, bool retransmitted);
  /// Bytes of one run, which were lost or are probed for.
  void sent_again(Position begin, std::uint32_t bytes, const SendStamp& stamp);

  /// Everything below `position` has arrived: `arrived(run, was_sacked)` for each piece, in order.
  template <class Arrived>
  void ack_to(Position position, Arrived&& arrived) {
    while (head_ != 0 && ref(head_).begin < position) {
      Run& run = ref(head_);
      const std::uint32_t number = head_;
      const auto bytes =
          static_cast<std::uint32_t>(run.end() <= position ? run.bytes : position - run.begin);
      Run piece = run;
      piece.bytes = bytes;
      const bool was_sacked = run.state == RunState::sacked;
      if (bytes == run.bytes) {
        remove(number);
      } else {
        count(run.state, bytes, false);
        run.begin += bytes;
        run.bytes -= bytes;
      }
      arrived(static_cast<const Run&>(piece), was_sacked);
    }
  }

  /// The receiver has [begin, end): `arrived(run)` for each piece that is news.
  template <class Arrived>
  void sack(Position begin, Position end, Arrived&& arrived) {
    std::uint32_t number = find(begin);
    while (number != 0 && ref(number).begin < end) {
      const std::uint32_t next = ref(number).next;
      const bool known = ref(number).state == RunState::sacked;
      if (!known && ref(number).begin < begin) number = split(number, begin);
      if (known || number == 0 || (ref(number).end() > end && split(number, end) == 0)) {
        number = next;
        continue;
      }
      const Run news = ref(number);
      become(number, RunState::sacked);
      number = ref(join_neighbours(number)).next;
      arrived(news);
    }
  }

  /// In the order of transmission, what is in flight: `judge(run)` says whether it is lost; at the
  /// first run for which `goes_on(run)` is false the walk ends.
  template <class GoesOn, class Judge>
  std::uint32_t mark_lost(GoesOn&& goes_on, Judge&& judge) {
    std::uint32_t bytes = 0;
    for (std::uint32_t number = oldest_; number != 0;) {
      const Run& run = ref(number);
      if (!goes_on(run)) break;
      const std::uint32_t newer = run.newer;
      if (judge(run)) {
        bytes += run.bytes;
        lose(number);
      }
      number = newer;
    }
    return bytes;
  }
  /// Up to so many of the first bytes, if they are in flight.
  std::uint32_t lose_head(std::uint32_t bytes);
  std::uint32_t lose_all();  ///< that are in flight
  void join_lost();          ///< so that packets of another size may be cut of it
  void forget_sacks();       ///< the receiver has dropped what it had: that is lost too
  void unlose();             ///< it was on its way after all: RFC 4015 §3
  void clear();

  void check() const;  ///< the invariants, in time linear in the runs
  /// In the order of the stream: `look(run)`.
  template <class Look>
  void each(Look&& look) const {
    for (std::uint32_t number = head_; number != 0; number = ref(number).next)
      look(static_cast<const Run&>(ref(number)));
  }

 private:
  [[nodiscard]] Run& ref(std::uint32_t number) const { return pool_->runs_[number]; }
  [[nodiscard]] const Run* at(std::uint32_t number) const {
    return number == 0 ? nullptr : &ref(number);
  }
  [[nodiscard]] bool free_for_us() const {
    return held_ < RunPool::reserved_each || (held_ < RunPool::each_max && pool_->shared_free_ > 0);
  }
  [[nodiscard]] std::uint32_t take();
  void give_back(std::uint32_t number);
  void remove(std::uint32_t number);
  void count(RunState state, std::uint32_t bytes, bool more);
  void become(std::uint32_t number, RunState state);
  void lose(std::uint32_t number);
  void time_append(std::uint32_t number);
  void time_remove(std::uint32_t number);
  /// The run that holds `position`, or the first behind it.
  [[nodiscard]] std::uint32_t find(Position position);
  /// Cuts the run in two; the number of the second, 0 if there is none to be had.
  std::uint32_t split(std::uint32_t number, Position at);
  std::uint32_t join_neighbours(std::uint32_t number);  ///< the number of what they are now
  bool join_next(std::uint32_t number);
  [[nodiscard]] std::uint32_t next_lost(std::uint32_t number) const;

  RunPool* pool_;
  std::uint32_t head_ = 0, tail_ = 0;
  std::uint32_t oldest_ = 0, newest_ = 0;
  std::uint32_t lost_hint_ = 0;  // the first run that is lost
  std::uint32_t find_hint_ = 0;  // where the last search ended
  std::uint32_t held_ = 0;
  std::uint32_t in_flight_ = 0, sacked_ = 0, lost_ = 0;
};

}  // namespace strictsend::tcp
