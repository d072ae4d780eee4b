// SPDX-License-Identifier: Apache-2.0
#include "nic/receive_buffers.hpp"

#include <algorithm>
#include <cstring>

namespace strictsend::nic {
namespace {

constexpr std::byte released_byte{0xdb};

std::size_t buffer_count(const DmaMemory& memory, std::size_t ring_packets) {
  return std::min<std::size_t>(memory.receive_end.value - memory.receive_begin.value, ring_packets);
}

}  // namespace

ReceiveBuffers::ReceiveBuffers(const DmaMemory& memory, std::size_t ring_packets,
                               RxChecksum checksum, QueueCounters& counters)
    : memory_(memory),
      checksum_(checksum),
      counters_(&counters),
      waiting_(buffer_count(memory, ring_packets)) {
  const std::size_t count = buffer_count(memory, ring_packets);
  free_.reserve(count);
  lent_.reserve(count);
  for (std::size_t i = count; i > 0; --i)
    free_.push_back(memory.receive_begin.plus(static_cast<std::uint32_t>(i - 1)));
}

bool ReceiveBuffers::deliver(std::span<const std::byte> packet) {
  if (free_.empty() || packet.size() > page_bytes) {
    ++counters_->rx_dropped;
    return false;
  }
  const Waiting waiting{.frame = free_.back(),
                        .length_bytes = static_cast<std::uint32_t>(packet.size())};
  free_.pop_back();
  std::memcpy(bytes_of(waiting).data(), packet.data(), packet.size());
  waiting_.push(waiting);
  return true;
}

std::size_t ReceiveBuffers::receive(std::span<RxPacket> packets) {
  std::size_t count = 0;
  while (count < packets.size() && !waiting_.empty()) {
    const Waiting waiting = waiting_.pop();
    lent_.push_back(waiting);
    packets[count++] = {.bytes = bytes_of(waiting), .checksum = checksum_};
    ++counters_->rx_packets;
    counters_->rx_bytes += waiting.length_bytes;
  }
  return count;
}

void ReceiveBuffers::release_received() {
  for (const Waiting& packet : lent_) {
    std::ranges::fill(bytes_of(packet), released_byte);
    free_.push_back(packet.frame);
  }
  lent_.clear();
}

std::span<std::byte> ReceiveBuffers::bytes_of(const Waiting& packet) const {
  return {memory_.base + offset_of(packet.frame).value, packet.length_bytes};
}

}  // namespace strictsend::nic
