// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "nic/port.hpp"

namespace strictsend::nic::af_xdp {

/// What is out on a TX ring: the packets in the order of submission, each with its descriptors'
/// addresses. A completion is believed only if it is the address that must come next; for a
/// completion is neither proof of transmission nor one to one (an EINVAL kick completes what it
/// did not consume).
///
/// Order: drivers complete in ring order. Copy mode completes a packet when its sk_buff is freed
/// (since Linux 6.18 the addresses are written only then, net/xdp/xsk.c xsk_cq_submit_addr_locked):
/// all descriptors of a packet together and in order, packets possibly out of order. So the next
/// address is that of the packet begun, or else the first of any packet outstanding.
///
/// Owned by one queue, engine thread only. Nothing allocates after the constructor.
class TxLedger {
 public:
  /// `capacity` descriptors, a power of two.
  explicit TxLedger(std::uint32_t capacity);

  [[nodiscard]] std::uint32_t free_descriptors() const {
    return capacity_ - (next_descriptor_ - oldest_descriptor());
  }
  [[nodiscard]] bool empty() const { return oldest_packet_ == next_packet_; }
  [[nodiscard]] std::uint32_t outstanding_packets() const { return live_packets_; }

  /// Enters a packet: `begin_packet`, then its descriptors. The caller knows that there is room.
  void begin_packet(std::uint32_t cookie);
  void add_descriptor(std::uint64_t address);

  enum class Match : std::uint8_t {
    descriptor,  ///< one of a packet's, not its last
    packet,      ///< a packet is complete: `cookie`
    unexpected,  ///< nothing outstanding answers to it: a device fault
  };
  struct Completed {
    Match match = Match::unexpected;
    std::uint32_t cookie = 0;
  };
  Completed complete(std::uint64_t address);

  /// Takes the oldest outstanding packet, whatever the device says: for after it has stopped.
  std::optional<std::uint32_t> abandon_oldest();

 private:
  struct Packet {
    std::uint32_t cookie = 0;
    std::uint32_t first_descriptor = 0;
    std::uint32_t descriptors = 0;  ///< 0: complete, waiting for older ones to be forgotten
  };

  Packet& packet(std::uint32_t index) { return packets_[index & (capacity_ - 1)]; }
  [[nodiscard]] const Packet& packet(std::uint32_t index) const {
    return packets_[index & (capacity_ - 1)];
  }
  [[nodiscard]] std::uint32_t oldest_descriptor() const {
    return empty() ? next_descriptor_ : packet(oldest_packet_).first_descriptor;
  }
  void finish(std::uint32_t index);
  bool find_packet_starting_with(std::uint64_t address);

  std::uint32_t capacity_;
  std::unique_ptr<std::uint64_t[]> addresses_;  ///< by descriptor index modulo capacity
  std::unique_ptr<Packet[]> packets_;           ///< by packet index modulo capacity
  std::uint32_t next_descriptor_ = 0;
  std::uint32_t oldest_packet_ = 0;
  std::uint32_t next_packet_ = 0;
  std::uint32_t live_packets_ = 0;
  std::uint32_t current_packet_ = 0;  ///< the packet begun by a completion, if matched_ > 0
  std::uint32_t matched_ = 0;         ///< of its descriptors
};

}  // namespace strictsend::nic::af_xdp
