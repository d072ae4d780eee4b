// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/assert.hpp"
#include "base/page.hpp"
#include "engine/exchange/splice_op.hpp"
#include "nic/port.hpp"

namespace strictsend::engine {

/// A packet from its building until its completion: the fragments that the descriptors carry, and
/// what they refer to. The slot's number is the packet's cookie. Engine thread.
struct TxSlot {
  /// A header and 17 pieces: Linux's MAX_SKB_FRAGS, and the pages of 64 KiB that begin anywhere.
  static constexpr std::size_t fragments_max = 18;
  static constexpr std::size_t splices_max = 4;

  std::array<nic::Fragment, fragments_max> fragments;
  std::array<FrameIndex, fragments_max> frames;  ///< pinned, to be unpinned at completion
  std::array<SpliceOp*, splices_max> splices;    ///< whose frames they are
  std::uint8_t fragment_count = 0;
  std::uint8_t frame_count = 0;
  std::uint8_t splice_count = 0;
  bool under_descriptor = false;  ///< handed to the port, not yet completed
  udp::InFlight datagram;         ///< when it is one: its place among those of its splice
  std::optional<nic::ChecksumRequest> checksum;
  std::optional<nic::SegmentationRequest> segmentation;
  std::uint32_t index = 0;
  ArenaOffset header_buffer;

  [[nodiscard]] nic::TxPacket packet() const {
    return {{fragments.data(), fragment_count}, checksum, index, segmentation};
  }
};

/// The fixed pool of them, each with its header buffer in the arena.
///
///     header buffer:  | headroom (port's metadata) | Ethernet IPv4 TCP | inline or linear payload
///     |
class TxSlots {
 public:
  /// Takes `count` buffers of `buffer_bytes` (a power of two that divides the page) from `begin`
  /// on.
  TxSlots(std::uint32_t count, FrameIndex begin, std::uint32_t buffer_bytes) : slots_(count) {
    STRICTSEND_ASSERT(page_bytes % buffer_bytes == 0);
    free_.reserve(count);
    for (std::uint32_t i = count; i-- > 0;) {
      slots_[i].index = i;
      slots_[i].header_buffer =
          ArenaOffset{offset_of(begin).value + std::uint64_t{i} * buffer_bytes};
      free_.push_back(i);
    }
  }

  /// An empty slot, or nullptr when every one is under a descriptor.
  [[nodiscard]] TxSlot* take() {
    if (free_.empty()) return nullptr;
    TxSlot& slot = slots_[free_.back()];
    free_.pop_back();
    slot.fragment_count = slot.frame_count = slot.splice_count = 0;
    slot.checksum.reset();
    slot.segmentation.reset();
    return &slot;
  }
  void give_back(TxSlot& slot) {
    slot.under_descriptor = false;
    free_.push_back(slot.index);  // within what the constructor reserved
  }
  [[nodiscard]] TxSlot& operator[](std::uint32_t index) {
    STRICTSEND_ASSERT(index < slots_.size());
    return slots_[index];
  }
  [[nodiscard]] std::size_t available() const { return free_.size(); }
  [[nodiscard]] std::size_t size() const { return slots_.size(); }
  [[nodiscard]] std::uint64_t memory_bytes() const { return slots_.size() * (sizeof(TxSlot) + 4); }

 private:
  std::vector<TxSlot> slots_;
  std::vector<std::uint32_t> free_;
};

}  // namespace strictsend::engine
