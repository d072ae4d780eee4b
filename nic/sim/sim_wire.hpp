// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "nic/sim/sim_config.hpp"
#include "nic/sim/sim_events.hpp"
#include "nic/sim/sim_frames.hpp"
#include "nic/sim/sim_link.hpp"

namespace strictsend::nic {

/// What the device and the far end share: the time, the agenda, the frames on the way and the path
/// in both directions. Owned by the SimPort, outlived by nothing that refers to it.
struct SimWire {
  explicit SimWire(const SimConfig& config)
      : now(config.start_at),
        frames(config.frames_on_the_way_max, link_header_bytes_max + config.mtu_bytes),
        // A descriptor has one event at a time, and so has a frame.
        events(config.tx_ring_packets + config.frames_on_the_way_max),
        to_peer(config.to_peer, config.link_bits_per_second, config.seed * 4 + 1,
                SimEvent::Kind::at_peer, frames, events),
        from_peer(config.from_peer, config.link_bits_per_second, config.seed * 4 + 2,
                  SimEvent::Kind::at_port, frames, events) {}

  // The links point into this object.
  SimWire(const SimWire&) = delete;
  SimWire& operator=(const SimWire&) = delete;
  SimWire(SimWire&&) = delete;
  SimWire& operator=(SimWire&&) = delete;
  ~SimWire() = default;

  Time now;
  SimFrames frames;
  SimEvents events;
  SimLink to_peer;
  SimLink from_peer;
};

}  // namespace strictsend::nic
