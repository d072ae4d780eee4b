// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>

#include "base/clock.hpp"
#include "nic/sim/sim_random.hpp"

namespace strictsend::relay {

/// What one direction of a path does to the packets on it. A zero switches its limit or mishap off.
///
///     offer ──▶ queue (drop-tail, marks) ──▶ rate ──▶ loss ──▶ delay (+ hold-up) ──▶ depart
///
/// A packet's bytes are those that are offered: what the rate is of is the caller's to say.
struct LinkSetup {
  std::uint64_t rate_bits_second = 0;
  Duration delay;                     ///< behind the packet's last bit
  std::uint64_t queue_bytes_max = 0;  ///< the packet whose bits are leaving included
  std::uint32_t queue_packets_max = 0;
  std::uint32_t loss_ppm = 0;             ///< of what has left the queue: it has used the rate
  std::uint32_t reorder_ppm = 0;          ///< so many are held up, and others overtake them,
  Duration reorder_delay_max;             ///< by up to so much more delay
  std::uint64_t ecn_threshold_bytes = 0;  ///< a packet that finds so many queued is marked
};

/// What becomes of an offered packet.
struct Fate {
  enum class Kind : std::uint8_t {
    departs,
    lost,        ///< drawn
    overflowed,  ///< the queue was full
  };
  Kind kind = Kind::departs;
  bool marked = false;  ///< CE is to be set (RFC 3168 §5)
  Time departs_at;      ///< at the far end
};

struct LinkCounters {
  std::uint64_t packets_offered = 0;
  std::uint64_t bytes_offered = 0;
  std::uint64_t packets_lost = 0;
  std::uint64_t packets_overflowed = 0;
  std::uint64_t packets_reordered = 0;
  std::uint64_t packets_marked = 0;
  std::uint64_t queued_bytes_max = 0;  ///< most that ever waited

  bool operator==(const LinkCounters&) const = default;
};

/// One direction of a path, as a decision: what becomes of a packet and when. Pure but for its own
/// random numbers, so that the same offers at the same times always have the same fates, in real
/// time as in virtual. Owned and driven by one thread; nothing blocks or fails.
class RelayLink {
 public:
  RelayLink(const LinkSetup& setup, std::uint64_t seed) : setup_(setup), random_(seed) {}

  /// `now` never goes back. `ecn_capable`: the packet may be marked (ECT, RFC 3168 §5).
  Fate offer(std::uint32_t packet_bytes, bool ecn_capable, Time now);

  [[nodiscard]] const LinkCounters& counters() const { return counters_; }

 private:
  struct Queued {
    Time leaves_at;  ///< its last bit
    std::uint32_t bytes;
  };

  void let_leave(Time now);
  [[nodiscard]] bool is_full_for(std::uint32_t packet_bytes) const;

  LinkSetup setup_;
  nic::SimRandom random_;
  std::deque<Queued> queue_;
  std::uint64_t queued_bytes_ = 0;
  Time free_at_;  ///< when the last bit of the last packet leaves
  LinkCounters counters_;
};

}  // namespace strictsend::relay
