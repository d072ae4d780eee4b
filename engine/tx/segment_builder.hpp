// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/inet_checksum.hpp"
#include "engine/flow/flow.hpp"
#include "engine/tx/tx_slots.hpp"
#include "pagecache/page_cache.hpp"

namespace strictsend::engine {

/// Turns what TCP wants sent into a packet: headers from the flow's template, payload from the
/// snapshots' frames. Engine thread; reads frames only while they are pinned.
///
/// Two forms. *Fragments*: header bytes and short inline bytes in the header buffer, then pieces of
/// the page frames themselves, each frame pinned until the packet completes; of several packets'
/// payload at once where the port cuts them. *Linear*: the payload is copied behind the header, and
/// the frame is pinned for the copy alone.
class SegmentBuilder {
 public:
  enum class Status : std::uint8_t {
    built,
    busy,     ///< the guard is at one of the pages: try again at the next poll
    revoked,  ///< a snapshot was given up for a writer: end the connection
  };

  SegmentBuilder(pagecache::PageCache& cache, const nic::PortCapabilities& port, bool linear,
                 std::uint32_t buffer_bytes);

  /// Builds `segment` of the flow into an empty slot. The payload may come out shorter than asked
  /// for (a boundary between inline and file bytes, no more fragments): `segment` is then cut, and
  /// loses its FIN and PSH. On anything but `built` the slot is empty again.
  Status build(TxSlot& slot, Flow& flow, tcp::SegmentOut& segment);

  /// A header alone (ACK, RST) through any template.
  void build_control(TxSlot& slot, const wire::TcpHeaderTemplate& header,
                     const tcp::SegmentOut& segment);

 private:
  struct Gathering;
  Status gather(Gathering& gathering, Flow& flow, const tcp::SegmentOut& segment);
  static void gather_inline(Gathering& gathering, std::span<const std::byte> bytes);
  [[nodiscard]] bool has_room_for_page(const Gathering& gathering) const;
  Status gather_file(Gathering& gathering, SpliceOp& op, std::uint64_t file_offset,
                     std::uint32_t bytes);
  [[nodiscard]] bool append_fragment(TxSlot& slot, ArenaOffset offset, std::uint32_t bytes) const;
  void write_header(TxSlot& slot, const wire::TcpHeaderTemplate& header,
                    const tcp::SegmentOut& segment, std::uint32_t buffered_bytes,
                    PartialSum payload_sum) const;
  void undo(TxSlot& slot);

  pagecache::PageCache& cache_;
  std::byte* memory_;
  std::uint32_t headroom_bytes_;
  std::uint32_t buffer_bytes_;
  std::uint32_t fragments_max_;      ///< of one packet
  std::uint32_t fragments_max_cut_;  ///< of several, which the port cuts
  std::uint32_t fragment_bytes_max_;
  bool crosses_page_;
  bool offload_;
  bool linear_;
};

}  // namespace strictsend::engine
