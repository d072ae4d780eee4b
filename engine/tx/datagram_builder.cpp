// SPDX-License-Identifier: Apache-2.0
#include "engine/tx/datagram_builder.hpp"

#include <array>

namespace strictsend::engine {

BuildStatus DatagramBuilder::build(TxSlot& slot, const wire::UdpHeaderTemplate& header,
                                   SpliceOp& op, const udp::Slice& slice) {
  std::array<std::byte, DatagramSplice::max_header_bytes> room;
  STRICTSEND_ASSERT(op.header.size() <= room.size());
  const std::span<std::byte> inline_bytes = std::span(room).first(op.header.size());
  std::copy(op.header.begin(), op.header.end(), inline_bytes.begin());
  udp::add_to_field(inline_bytes, op.sequence, slice.number);
  udp::add_to_field(inline_bytes, op.byte_offset, slice.offset);

  const auto payload_bytes = static_cast<std::uint32_t>(inline_bytes.size()) + slice.bytes;
  PayloadGatherer::Gathering gathering =
      gatherer_.begin(slot, header.header_bytes(), payload_bytes, false);
  slot.splices[slot.splice_count++] = &op;
  PayloadGatherer::add_inline(gathering, inline_bytes);
  if (slice.bytes > 0) {
    const BuildStatus status =
        gatherer_.add_file(gathering, op, op.file_offset + slice.offset, slice.bytes);
    if (status != BuildStatus::built) {
      gatherer_.undo(slot);
      return status;
    }
  }
  // What was accepted fits: DatagramLimits.
  STRICTSEND_ASSERT(gathering.payload_bytes == payload_bytes);

  const std::span<std::byte> into = gatherer_.header_room(slot);
  std::uint32_t length = 0;
  if (gatherer_.offload()) {
    const wire::OffloadedHeader emitted = header.emit_for_offload(into, payload_bytes);
    length = emitted.header_bytes;
    slot.checksum = emitted.checksum;
  } else {
    length = header.emit(into, payload_bytes, gatherer_.sum(gathering));
  }
  gatherer_.set_header(slot, length, gathering.buffered_bytes);
  return BuildStatus::built;
}

}  // namespace strictsend::engine
