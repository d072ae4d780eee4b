// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "nic/sim/sim_config.hpp"
#include "nic/sim/sim_events.hpp"
#include "nic/sim/sim_frames.hpp"
#include "nic/sim/sim_random.hpp"

namespace strictsend::nic {

/// One direction of the path: the sender's link, which takes time for every frame, and what may
/// befall a frame behind it. Draws from random numbers of its own, so that one direction's traffic
/// does not change the other's fate.
class SimLink {
 public:
  /// `arrival` is the event by which a frame that survives is announced. The frames and the agenda
  /// outlive the link.
  SimLink(const SimPath& path, std::uint64_t bits_per_second, std::uint64_t seed,
          SimEvent::Kind arrival, SimFrames& frames, SimEvents& events)
      : path_(path),
        bits_per_second_(bits_per_second),
        random_(seed),
        arrival_(arrival),
        frames_(&frames),
        events_(&events) {}

  /// Gives a frame its turn on the link, and returns when its last bit has left.
  Time serialise(Time now, std::size_t frame_bytes);

  /// Takes a frame that has left: loses it, or schedules its arrival (twice, if duplicated).
  void carry(SimFrameIndex frame, Time left_at);

  /// A path that is down loses everything.
  void set_up(bool up) { up_ = up; }
  [[nodiscard]] SimPathStats& stats() { return stats_; }

 private:
  void schedule_arrival(SimFrameIndex frame);

  SimPath path_;
  std::uint64_t bits_per_second_;
  SimRandom random_;
  SimEvent::Kind arrival_;
  SimFrames* frames_;
  SimEvents* events_;
  bool up_ = true;
  Time free_at_;
  SimPathStats stats_;
};

}  // namespace strictsend::nic
