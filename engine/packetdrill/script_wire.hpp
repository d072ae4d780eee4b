// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.hpp"
#include "nic/discard/discard_port.hpp"

namespace strictsend::packetdrill {

/// An IP packet that the stack has sent.
struct SentPacket {
  Time at;
  std::vector<std::byte> bytes;
};

/// The network that a script is: what the stack transmits waits here, in order, until the script
/// asks for it. Scripts speak IP; the Ethernet header, which is the same for all packets, is put
/// before them and taken off here.
///
/// Owned by VirtualStack. It allocates, as no real device does: there is a script, no wire, behind.
class ScriptWire final : public nic::TransmitObserver {
 public:
  void attach(const nic::DmaMemory& memory) { memory_ = memory; }
  /// Packets that are transmitted from here on leave at this instant.
  void set_time(Time now) { now_ = now; }

  void transmitted(std::span<const nic::TxPacket> packets) override;

  [[nodiscard]] bool empty() const { return packets_.empty(); }
  [[nodiscard]] std::optional<SentPacket> take();

  /// The frames in which an IP packet of the script comes to the stack's port: one, or, as it would
  /// be on a real link, several where it is a TCP segment longer than the MTU.
  [[nodiscard]] static std::vector<std::vector<std::byte>> frames_of(
      std::span<const std::byte> ip_packet, const nic::PortCapabilities& port);

 private:
  nic::DmaMemory memory_;
  Time now_;
  std::deque<SentPacket> packets_;
};

}  // namespace strictsend::packetdrill
