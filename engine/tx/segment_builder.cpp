// SPDX-License-Identifier: Apache-2.0
#include "engine/tx/segment_builder.hpp"

#include <algorithm>

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

SegmentBuilder::Status SegmentBuilder::build(TxSlot& slot, Flow& flow, tcp::SegmentOut& segment) {
  const std::uint32_t header = flow.header.header_bytes(wire_header(segment).options);
  PayloadGatherer::Gathering gathering =
      gatherer_.begin(slot, header, segment.mss_bytes, segment.is_several_packets());
  if (segment.payload_bytes > 0) {
    const Status status = gather(gathering, flow, segment);
    if (status != Status::built) {
      gatherer_.undo(slot);
      return status;
    }
    if (gathering.payload_bytes < segment.payload_bytes) {
      segment.shorten(gathering.payload_bytes);
    }
  }
  write_header(slot, flow.header, segment, gathering.buffered_bytes, gatherer_.sum(gathering));
  return Status::built;
}

void SegmentBuilder::build_control(TxSlot& slot, const wire::TcpHeaderTemplate& header,
                                   const tcp::SegmentOut& segment) {
  slot.fragment_count = 1;
  write_header(slot, header, segment, 0, 0);
}

SegmentBuilder::Status SegmentBuilder::gather(PayloadGatherer::Gathering& gathering, Flow& flow,
                                              const tcp::SegmentOut& segment) {
  SpliceOp* op = flow.stream.find(segment.stream_offset);
  while (!gathering.full && gathering.payload_bytes < segment.payload_bytes) {
    STRICTSEND_ASSERT(op != nullptr);  // TCP never asks for more than was enqueued
    const std::uint64_t at = segment.stream_offset + gathering.payload_bytes - op->stream_begin;
    const std::uint32_t wanted = segment.payload_bytes - gathering.payload_bytes;
    const std::uint64_t file_end = op->header.size() + op->file_bytes;
    if (at < op->header.size()) {
      const std::span<const std::byte> rest = std::span(op->header).subspan(at);
      PayloadGatherer::add_inline(gathering,
                                  rest.first(std::min<std::size_t>(rest.size(), wanted)));
    } else if (at < file_end) {
      const auto bytes = static_cast<std::uint32_t>(std::min<std::uint64_t>(file_end - at, wanted));
      const Status status =
          gatherer_.add_file(gathering, *op, op->file_offset + at - op->header.size(), bytes);
      if (status != Status::built) return status;
    } else {
      const std::span<const std::byte> rest = std::span(op->trailer).subspan(at - file_end);
      PayloadGatherer::add_inline(gathering,
                                  rest.first(std::min<std::size_t>(rest.size(), wanted)));
    }
    const std::uint64_t next = segment.stream_offset + gathering.payload_bytes;
    while (op != nullptr && next >= op->stream_end())
      op = op->stream_next;
  }
  return gathering.payload_bytes > 0 ? Status::built : Status::busy;
}

void SegmentBuilder::write_header(TxSlot& slot, const wire::TcpHeaderTemplate& header,
                                  const tcp::SegmentOut& segment, std::uint32_t buffered_bytes,
                                  PartialSum payload_sum) const {
  const std::span<std::byte> into = gatherer_.header_room(slot);
  const wire::TcpSegmentHeader values = wire_header(segment);
  std::uint32_t length = 0;
  if (segment.is_several_packets()) {
    STRICTSEND_ASSERT(gatherer_.may_be_cut());
    const wire::OffloadedHeader emitted = header.emit_for_segmentation(into, values);
    length = emitted.header_bytes;
    slot.checksum = emitted.checksum;
    slot.segmentation = {.header_bytes = static_cast<std::uint16_t>(length),
                         .payload_bytes = static_cast<std::uint16_t>(segment.mss_bytes)};
  } else if (gatherer_.offload()) {
    const wire::OffloadedHeader emitted = header.emit_for_offload(into, values);
    length = emitted.header_bytes;
    slot.checksum = emitted.checksum;
  } else {
    length = header.emit(into, values, payload_sum);
  }
  gatherer_.set_header(slot, length, buffered_bytes);
}

}  // namespace strictsend::engine
