// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "nic/port.hpp"

namespace strictsend::nic {

/// Why a port could never send a packet. All of them are programmer's errors; ports look before
/// they submit, because devices do not complain: AF_XDP consumes an invalid descriptor in silence
/// and completes it like any other (kernel, net/xdp/xsk_queue.h, xskq_cons_read_desc).
enum class PacketFault : std::uint8_t {
  none,
  no_fragments,
  too_many_fragments,
  empty_fragment,
  fragment_too_long,
  outside_memory,
  crosses_page,
  no_headroom,       ///< the port's metadata would lie outside the first fragment's own frame, or
                     ///< before the memory's start
  packet_too_short,  ///< no room for an Ethernet header
  packet_too_long,   ///< above the MTU, or what the port can cut, with a tag's room to spare
  checksum_request,  ///< not offered by the port, or outside the first fragment
  segmentation_request,  ///< not offered by the port, without a checksum or whole headers, or of
                         ///< packets that do not fit the MTU, are too small, or are only one
};

[[nodiscard]] const char* to_string(PacketFault fault);

/// Pure, and total over any packet.
[[nodiscard]] PacketFault check_packet(const PortCapabilities& capabilities,
                                       const DmaMemory& memory, const TxPacket& packet);

/// For ports, of each packet that they take: a fault ends the process, and the message names it and
/// the fragment that has it, or else the whole packet.
void assert_sendable(const PortCapabilities& capabilities, const DmaMemory& memory,
                     const TxPacket& packet, const char* file = __builtin_FILE(),
                     int line = __builtin_LINE());

}  // namespace strictsend::nic
