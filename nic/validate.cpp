// SPDX-License-Identifier: Apache-2.0
#include "nic/validate.hpp"

#include <array>
#include <cinttypes>
#include <cstdio>

#include "base/assert.hpp"

namespace strictsend::nic {
namespace {

constexpr std::uint64_t ethernet_header_bytes = 14;
constexpr std::uint64_t headers_bytes_min = ethernet_header_bytes + 20 + 20;  // IPv4 and TCP

PacketFault check_fragment(const PortCapabilities& capabilities, const DmaMemory& memory,
                           const Fragment& fragment) {
  const std::uint64_t offset = fragment.offset.value;
  const std::uint64_t in_page = offset % page_bytes;
  if (fragment.length_bytes == 0) return PacketFault::empty_fragment;
  if (fragment.length_bytes > capabilities.max_fragment_bytes)
    return PacketFault::fragment_too_long;
  if (offset >= memory.size_bytes || fragment.length_bytes > memory.size_bytes - offset)
    return PacketFault::outside_memory;
  if (!capabilities.fragment_crosses_page && in_page + fragment.length_bytes > page_bytes)
    return PacketFault::crosses_page;
  // The metadata length is charged to every descriptor, not to the first alone (kernel,
  // net/xdp/xsk_queue.h, xp_unaligned_validate_desc).
  if (offset < capabilities.header_headroom_bytes) return PacketFault::no_headroom;
  return PacketFault::none;
}

/// Whether a request to cut this packet makes sense: `length_bytes` is the whole frame's,
/// `first_bytes` its first fragment's.
bool can_be_cut(const PortCapabilities& capabilities, const TxPacket& packet,
                std::uint64_t length_bytes, std::uint64_t first_bytes) {
  const std::uint64_t header_bytes = packet.segmentation->header_bytes;
  const std::uint64_t payload_bytes = packet.segmentation->payload_bytes;
  if (!packet.checksum || header_bytes < headers_bytes_min || header_bytes > first_bytes)
    return false;
  const std::uint64_t field_end =
      std::uint64_t{packet.checksum->start_bytes} + packet.checksum->offset_bytes + 2;
  if (field_end > header_bytes) return false;
  if (payload_bytes < SegmentationRequest::payload_bytes_min) return false;
  if (header_bytes + payload_bytes > link_header_bytes_max + capabilities.mtu_bytes) return false;
  return length_bytes > header_bytes + payload_bytes;  // one packet needs no cutting
}

/// Out of line: a port calls it once in its life.
[[noreturn]] void refuse(PacketFault fault, const PortCapabilities& capabilities,
                         const DmaMemory& memory, const TxPacket& packet, const char* file,
                         int line) {
  std::array<char, 256> text{};
  const std::size_t count = packet.fragments.size();
  std::uint64_t length_bytes = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const Fragment& fragment = packet.fragments[i];
    length_bytes += fragment.length_bytes;
    if (check_fragment(capabilities, memory, fragment) != fault) continue;
    std::snprintf(text.data(), text.size(),
                  "check_packet: %s (fragment %zu of %zu: %" PRIu32 " bytes at %#" PRIx64 ")",
                  to_string(fault), i + 1, count, fragment.length_bytes, fragment.offset.value);
    assertion_failed(text.data(), file, line);
  }
  std::snprintf(text.data(), text.size(), "check_packet: %s (%zu fragments, %" PRIu64 " bytes)",
                to_string(fault), count, length_bytes);
  assertion_failed(text.data(), file, line);
}

}  // namespace

void assert_sendable(const PortCapabilities& capabilities, const DmaMemory& memory,
                     const TxPacket& packet, const char* file, int line) {
  const PacketFault fault = check_packet(capabilities, memory, packet);
  if (fault != PacketFault::none) refuse(fault, capabilities, memory, packet, file, line);
}

PacketFault check_packet(const PortCapabilities& capabilities, const DmaMemory& memory,
                         const TxPacket& packet) {
  if (packet.fragments.empty()) return PacketFault::no_fragments;
  const bool segmented = packet.segmentation.has_value();
  if (segmented && capabilities.segmented_bytes_max == 0) return PacketFault::segmentation_request;
  if (packet.fragments.size() >
      (segmented ? capabilities.segmented_fragments_max : capabilities.max_fragments))
    return PacketFault::too_many_fragments;

  std::uint64_t length_bytes = 0;
  for (const Fragment& fragment : packet.fragments) {
    const PacketFault fault = check_fragment(capabilities, memory, fragment);
    if (fault != PacketFault::none) return fault;
    length_bytes += fragment.length_bytes;
  }
  const Fragment& first = packet.fragments.front();
  if (first.offset.value % page_bytes < capabilities.header_headroom_bytes)
    return PacketFault::no_headroom;
  if (length_bytes < ethernet_header_bytes) return PacketFault::packet_too_short;
  if (length_bytes > link_header_bytes_max +
                         (segmented ? capabilities.segmented_bytes_max : capabilities.mtu_bytes))
    return PacketFault::packet_too_long;
  if (segmented && !can_be_cut(capabilities, packet, length_bytes, first.length_bytes))
    return PacketFault::segmentation_request;
  if (packet.checksum) {
    const std::uint64_t field_end =
        std::uint64_t{packet.checksum->start_bytes} + packet.checksum->offset_bytes + 2;
    if (!capabilities.checksum_offload || field_end > first.length_bytes)
      return PacketFault::checksum_request;
  }
  return PacketFault::none;
}

const char* to_string(PacketFault fault) {
  switch (fault) {
    case PacketFault::none:
      return "none";
    case PacketFault::no_fragments:
      return "no fragments";
    case PacketFault::too_many_fragments:
      return "more fragments than the port takes";
    case PacketFault::empty_fragment:
      return "empty fragment";
    case PacketFault::fragment_too_long:
      return "fragment longer than the port takes";
    case PacketFault::outside_memory:
      return "fragment outside the DMA memory";
    case PacketFault::crosses_page:
      return "fragment crosses a page";
    case PacketFault::no_headroom:
      return "no headroom for the port's metadata";
    case PacketFault::packet_too_short:
      return "packet shorter than an Ethernet header";
    case PacketFault::packet_too_long:
      return "packet above the MTU";
    case PacketFault::checksum_request:
      return "checksum request that the port cannot honour";
    case PacketFault::segmentation_request:
      return "segmentation request that the port cannot honour";
  }
  return "unknown";
}

}  // namespace strictsend::nic
