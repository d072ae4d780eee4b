// SPDX-License-Identifier: Apache-2.0
#include "engine/tx/payload_gatherer.hpp"

#include <algorithm>
#include <cstring>

namespace strictsend::engine {

PayloadGatherer::PayloadGatherer(pagecache::PageCache& cache, const nic::PortCapabilities& port,
                                 bool linear, std::uint32_t buffer_bytes)
    : cache_(cache),
      memory_(cache.dma_view()),
      headroom_bytes_(port.header_headroom_bytes),
      buffer_bytes_(buffer_bytes),
      fragments_max_(std::min<std::uint32_t>(port.max_fragments, TxSlot::fragments_max)),
      fragments_max_cut_(
          std::min<std::uint32_t>(port.segmented_fragments_max, TxSlot::fragments_max)),
      fragment_bytes_max_(port.max_fragment_bytes),
      crosses_page_(port.fragment_crosses_page),
      offload_(port.checksum_offload),
      linear_(linear) {}

PayloadGatherer::Gathering PayloadGatherer::begin(TxSlot& slot, std::uint32_t header_bytes,
                                                  std::uint32_t mss_bytes, bool several) const {
  slot.fragment_count = 1;  // the header's, written last
  return {
      .slot = slot,
      .buffer = memory_ + slot.header_buffer.value + headroom_bytes_ + header_bytes,
      .buffer_room = std::min(buffer_bytes_ - headroom_bytes_, fragment_bytes_max_) - header_bytes,
      .mss_bytes = mss_bytes,
      .fragments_max_first =
          several ? std::min(fragments_max_, fragments_max_cut_) : fragments_max_,
      .fragments_max = fragments_max_cut_};
}

void PayloadGatherer::add_inline(Gathering& gathering, std::span<const std::byte> bytes) {
  // Buffered bytes come first in a packet: what follows a page fragment waits for the next one.
  const bool behind_fragments = gathering.payload_bytes > gathering.buffered_bytes;
  const std::size_t room = gathering.buffer_room - gathering.buffered_bytes;
  std::size_t count = behind_fragments ? 0 : std::min(bytes.size(), room);
  // A buffer that ends within a second packet would make that a short one each time.
  const std::size_t end = gathering.buffered_bytes + count;
  if (count < bytes.size() && end > gathering.mss_bytes)
    count -= std::min(count, end % gathering.mss_bytes);
  if (count > 0) std::memcpy(gathering.buffer + gathering.buffered_bytes, bytes.data(), count);
  gathering.buffered_bytes += static_cast<std::uint32_t>(count);
  gathering.payload_bytes += static_cast<std::uint32_t>(count);
  gathering.full = count < bytes.size();
}

BuildStatus PayloadGatherer::add_file(Gathering& gathering, SpliceOp& op, std::uint64_t file_offset,
                                      std::uint32_t bytes) {
  TxSlot& slot = gathering.slot;
  const bool known = slot.splice_count > 0 && slot.splices[slot.splice_count - 1] == &op;
  if (!linear_ && !known) {
    if (slot.splice_count == TxSlot::splices_max) {
      gathering.full = true;
      return BuildStatus::built;
    }
    slot.splices[slot.splice_count++] = &op;
  }
  while (bytes > 0) {
    const PageIndex page{static_cast<std::uint32_t>(file_offset >> page_shift)};
    const auto in_page = static_cast<std::uint32_t>(file_offset & (page_bytes - 1));
    auto count = std::min(bytes, static_cast<std::uint32_t>(page_bytes) - in_page);
    if (linear_) {
      count = std::min(count, gathering.buffer_room - gathering.buffered_bytes);
    } else if (!has_room_for_page(gathering)) {
      count = 0;
    }
    if (count == 0) {
      gathering.full = true;
      return BuildStatus::built;
    }

    FrameIndex frame;
    const pagecache::PinOutcome outcome = cache_.resolve_and_pin(*op.snapshot, page, frame);
    if (outcome == pagecache::PinOutcome::busy) return BuildStatus::busy;
    if (outcome == pagecache::PinOutcome::absent) return BuildStatus::absent;
    if (outcome == pagecache::PinOutcome::revoked) return BuildStatus::revoked;

    const ArenaOffset from{offset_of(frame).value + in_page};
    if (linear_) {
      std::memcpy(gathering.buffer + gathering.buffered_bytes, memory_ + from.value, count);
      cache_.unpin(frame);
      gathering.buffered_bytes += count;
      op.result.bytes_copied += count;
    } else {
      slot.frames[slot.frame_count++] = frame;
      const bool fitted = append_fragment(slot, from, count);
      STRICTSEND_ASSERT(fitted);
      if (!offload_) {
        const PartialSum sum = cache_.frame_sum(frame, in_page, count);
        gathering.fragment_sum += gathering.payload_bytes % 2 == 0 ? sum : swap_sum(sum);
      }
    }
    gathering.payload_bytes += count;
    file_offset += count;
    bytes -= count;
  }
  return BuildStatus::built;
}

bool PayloadGatherer::has_room_for_page(const Gathering& gathering) const {
  const TxSlot& slot = gathering.slot;
  const bool first = gathering.payload_bytes < gathering.mss_bytes;
  const std::uint32_t limit = first ? gathering.fragments_max_first : gathering.fragments_max;
  const std::uint32_t pieces = fragment_bytes_max_ >= page_bytes ? 1 : 2;
  return slot.fragment_count + pieces <= limit && slot.frame_count < slot.frames.size();
}

bool PayloadGatherer::append_fragment(TxSlot& slot, ArenaOffset offset, std::uint32_t bytes) const {
  if (crosses_page_ && slot.fragment_count > 1) {
    nic::Fragment& last = slot.fragments[slot.fragment_count - 1];
    const bool adjacent = last.offset.value + last.length_bytes == offset.value;
    if (adjacent && last.length_bytes + bytes <= fragment_bytes_max_) {
      last.length_bytes += bytes;
      return true;
    }
  }
  while (bytes > 0) {
    if (slot.fragment_count == slot.fragments.size()) return false;
    const std::uint32_t piece = std::min(bytes, fragment_bytes_max_);
    slot.fragments[slot.fragment_count++] = {offset, piece};
    offset.value += piece;
    bytes -= piece;
  }
  return true;
}

PartialSum PayloadGatherer::sum(const Gathering& gathering) const {
  if (offload_) return 0;
  return inet_sum({gathering.buffer, gathering.buffered_bytes}) + gathering.fragment_sum;
}

std::span<std::byte> PayloadGatherer::header_room(const TxSlot& slot) const {
  return {memory_ + slot.header_buffer.value + headroom_bytes_, buffer_bytes_ - headroom_bytes_};
}

void PayloadGatherer::set_header(TxSlot& slot, std::uint32_t header_bytes,
                                 std::uint32_t buffered_bytes) const {
  slot.fragments[0] = {ArenaOffset{slot.header_buffer.value + headroom_bytes_},
                       header_bytes + buffered_bytes};
}

void PayloadGatherer::undo(TxSlot& slot) {
  for (std::uint8_t i = 0; i < slot.frame_count; ++i)
    cache_.unpin(slot.frames[i]);
  slot.fragment_count = slot.frame_count = slot.splice_count = 0;
}

}  // namespace strictsend::engine
