// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "nic/fixed_queue.hpp"
#include "nic/port.hpp"

namespace strictsend::nic {

/// Receive buffers in the DMA memory's receive part, one frame each, for the ports that are no
/// device: a received frame is copied into one, or dropped when none is free. Not synchronised.
class ReceiveBuffers {
 public:
  ReceiveBuffers(const DmaMemory& memory, std::size_t ring_packets, RxChecksum checksum,
                 QueueCounters& counters);

  /// False: no buffer, or the packet is longer than one; counted.
  bool deliver(std::span<const std::byte> packet);

  [[nodiscard]] bool empty() const { return waiting_.empty(); }
  std::size_t receive(std::span<RxPacket> packets);
  /// Overwrites what was lent, so that a reader who kept a view finds out.
  void release_received();

 private:
  struct Waiting {
    FrameIndex frame;
    std::uint32_t length_bytes = 0;
  };
  [[nodiscard]] std::span<std::byte> bytes_of(const Waiting& packet) const;

  DmaMemory memory_;
  RxChecksum checksum_;
  QueueCounters* counters_;
  std::vector<FrameIndex> free_;
  FixedQueue<Waiting> waiting_;
  std::vector<Waiting> lent_;
};

}  // namespace strictsend::nic
