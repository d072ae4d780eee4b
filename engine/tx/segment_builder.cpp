// SPDX-License-Identifier: Apache-2.0
#include "engine/tx/segment_builder.hpp"

#include <algorithm>
#include <cstring>

#include "engine/transport/tcp/segment.hpp"

namespace strictsend::engine {
namespace {

wire::TcpSegmentHeader wire_header(const tcp::SegmentOut& segment) {
  wire::TcpSegmentHeader header;
  header.seq = segment.seq.raw();
  header.ack = segment.ack.raw();
  header.window = segment.window;
  header.flags = {segment.flags.fin, segment.flags.syn, segment.flags.rst, segment.flags.psh,
                  segment.flags.ack, segment.flags.ece, segment.flags.cwr};
  if (segment.ecn_capable) header.ecn = wire::ecn_ect0;
  header.options.mss = segment.syn_options.mss;
  header.options.window_scale = segment.syn_options.window_scale;
  header.options.sack_permitted = segment.syn_options.sack_permitted;
  if (segment.timestamps) {
    header.options.timestamps =
        wire::TcpTimestamps{segment.timestamps->value, segment.timestamps->echo};
  }
  header.payload_bytes = segment.payload_bytes;
  return header;
}

}  // namespace

/// What has been gathered of one segment's payload so far.
struct SegmentBuilder::Gathering {
  TxSlot& slot;
  std::byte* buffer;  ///< where buffered payload starts: behind the header
  std::uint32_t buffer_room;
  std::uint32_t buffered_bytes = 0;
  std::uint32_t payload_bytes = 0;  ///< buffered and in fragments
  PartialSum fragment_sum = 0;      ///< of the payload in fragments, when we must sum it
  std::uint32_t mss_bytes = 0;      ///< where the first packet ends
  /// While the payload is one packet's, and when it is several. What ends within the first packet
  /// goes as a packet by itself, so both limits hold there.
  std::uint32_t fragments_max_first = 0;
  std::uint32_t fragments_max = 0;
  bool full = false;  ///< nothing more goes into this segment
};

SegmentBuilder::SegmentBuilder(pagecache::PageCache& cache, const nic::PortCapabilities& port,
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

SegmentBuilder::Status SegmentBuilder::build(TxSlot& slot, Flow& flow, tcp::SegmentOut& segment) {
  const std::uint32_t header = flow.header.header_bytes(wire_header(segment).options);
  Gathering gathering{
      .slot = slot,
      .buffer = memory_ + slot.header_buffer.value + headroom_bytes_ + header,
      .buffer_room = std::min(buffer_bytes_ - headroom_bytes_, fragment_bytes_max_) - header,
      .mss_bytes = segment.mss_bytes,
      .fragments_max_first = segment.is_several_packets()
                                 ? std::min(fragments_max_, fragments_max_cut_)
                                 : fragments_max_,
      .fragments_max = fragments_max_cut_};
  slot.fragment_count = 1;  // the header's, written last

  if (segment.payload_bytes > 0) {
    const Status status = gather(gathering, flow, segment);
    if (status != Status::built) {
      undo(slot);
      return status;
    }
    if (gathering.payload_bytes < segment.payload_bytes) {
      segment.shorten(gathering.payload_bytes);
    }
  }

  PartialSum sum = 0;
  if (!offload_)
    sum = inet_sum({gathering.buffer, gathering.buffered_bytes}) + gathering.fragment_sum;
  write_header(slot, flow.header, segment, gathering.buffered_bytes, sum);
  return Status::built;
}

void SegmentBuilder::build_control(TxSlot& slot, const wire::TcpHeaderTemplate& header,
                                   const tcp::SegmentOut& segment) {
  slot.fragment_count = 1;
  write_header(slot, header, segment, 0, 0);
}

SegmentBuilder::Status SegmentBuilder::gather(Gathering& gathering, Flow& flow,
                                              const tcp::SegmentOut& segment) {
  SpliceOp* op = flow.stream.find(segment.stream_offset);
  while (!gathering.full && gathering.payload_bytes < segment.payload_bytes) {
    STRICTSEND_ASSERT(op != nullptr);  // TCP never asks for more than was enqueued
    const std::uint64_t at = segment.stream_offset + gathering.payload_bytes - op->stream_begin;
    const std::uint32_t wanted = segment.payload_bytes - gathering.payload_bytes;
    const std::uint64_t file_end = op->header.size() + op->file_bytes;
    if (at < op->header.size()) {
      const std::span<const std::byte> rest = std::span(op->header).subspan(at);
      gather_inline(gathering, rest.first(std::min<std::size_t>(rest.size(), wanted)));
    } else if (at < file_end) {
      const auto bytes = static_cast<std::uint32_t>(std::min<std::uint64_t>(file_end - at, wanted));
      const Status status =
          gather_file(gathering, *op, op->file_offset + at - op->header.size(), bytes);
      if (status != Status::built) return status;
    } else {
      const std::span<const std::byte> rest = std::span(op->trailer).subspan(at - file_end);
      gather_inline(gathering, rest.first(std::min<std::size_t>(rest.size(), wanted)));
    }
    const std::uint64_t next = segment.stream_offset + gathering.payload_bytes;
    while (op != nullptr && next >= op->stream_end())
      op = op->stream_next;
  }
  return gathering.payload_bytes > 0 ? Status::built : Status::busy;
}

void SegmentBuilder::gather_inline(Gathering& gathering, std::span<const std::byte> bytes) {
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

SegmentBuilder::Status SegmentBuilder::gather_file(Gathering& gathering, SpliceOp& op,
                                                   std::uint64_t file_offset, std::uint32_t bytes) {
  TxSlot& slot = gathering.slot;
  const bool known = slot.splice_count > 0 && slot.splices[slot.splice_count - 1] == &op;
  if (!linear_ && !known) {
    if (slot.splice_count == TxSlot::splices_max) {
      gathering.full = true;
      return Status::built;
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
      return Status::built;
    }

    FrameIndex frame;
    const pagecache::PinOutcome outcome = cache_.resolve_and_pin(*op.snapshot, page, frame);
    if (outcome == pagecache::PinOutcome::busy) return Status::busy;
    if (outcome == pagecache::PinOutcome::revoked) return Status::revoked;

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
  return Status::built;
}

bool SegmentBuilder::has_room_for_page(const Gathering& gathering) const {
  const TxSlot& slot = gathering.slot;
  const bool first = gathering.payload_bytes < gathering.mss_bytes;
  const std::uint32_t limit = first ? gathering.fragments_max_first : gathering.fragments_max;
  const std::uint32_t pieces = fragment_bytes_max_ >= page_bytes ? 1 : 2;
  return slot.fragment_count + pieces <= limit && slot.frame_count < slot.frames.size();
}

bool SegmentBuilder::append_fragment(TxSlot& slot, ArenaOffset offset, std::uint32_t bytes) const {
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

void SegmentBuilder::write_header(TxSlot& slot, const wire::TcpHeaderTemplate& header,
                                  const tcp::SegmentOut& segment, std::uint32_t buffered_bytes,
                                  PartialSum payload_sum) const {
  const ArenaOffset at{slot.header_buffer.value + headroom_bytes_};
  const std::span<std::byte> into(memory_ + at.value, buffer_bytes_ - headroom_bytes_);
  const wire::TcpSegmentHeader values = wire_header(segment);
  std::uint32_t length = 0;
  if (segment.is_several_packets()) {
    STRICTSEND_ASSERT(offload_ && !linear_ && fragments_max_cut_ > 0);
    const wire::OffloadedHeader emitted = header.emit_for_segmentation(into, values);
    length = emitted.header_bytes;
    slot.checksum = emitted.checksum;
    slot.segmentation = {.header_bytes = static_cast<std::uint16_t>(length),
                         .payload_bytes = static_cast<std::uint16_t>(segment.mss_bytes)};
  } else if (offload_) {
    const wire::OffloadedHeader emitted = header.emit_for_offload(into, values);
    length = emitted.header_bytes;
    slot.checksum = emitted.checksum;
  } else {
    length = header.emit(into, values, payload_sum);
  }
  slot.fragments[0] = {at, length + buffered_bytes};
}

void SegmentBuilder::undo(TxSlot& slot) {
  for (std::uint8_t i = 0; i < slot.frame_count; ++i)
    cache_.unpin(slot.frames[i]);
  slot.fragment_count = slot.frame_count = slot.splice_count = 0;
}

}  // namespace strictsend::engine
