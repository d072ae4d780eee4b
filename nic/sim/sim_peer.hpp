// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "base/clock.hpp"
#include "nic/fixed_queue.hpp"
#include "nic/sim/sim_wire.hpp"

namespace strictsend::nic {

/// A frame that has arrived at the far end.
struct SimFrame {
  Time left_at;  ///< when the device read it
  Time arrived_at;
  bool corrupted = false;            ///< by the simulation; for tests that compare bytes
  std::span<const std::byte> bytes;  ///< valid until the next `receive`
};

/// The far end of the wire, for a test to play the peer. Owned by the SimPort; same thread.
class SimPeer {
 public:
  explicit SimPeer(SimWire& wire);

  /// The next frame that has arrived by now, in order of arrival.
  [[nodiscard]] std::optional<SimFrame> receive();

  /// Sends a frame to the port, from the wire's present time on.
  void inject(std::span<const std::byte> frame);

  /// For the port: a frame's arrival.
  void arrived(SimFrameIndex frame);

 private:
  SimWire* wire_;
  FixedQueue<SimFrameIndex> inbox_;
  std::optional<SimFrameIndex> lent_;  ///< what `receive` returned last
};

}  // namespace strictsend::nic
