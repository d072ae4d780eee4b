// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/inet_checksum.hpp"
#include "engine/tx/tx_slots.hpp"
#include "pagecache/page_cache.hpp"

namespace strictsend::engine {

/// What came of building a packet.
enum class BuildStatus : std::uint8_t {
  built,
  busy,     ///< the guard is at one of the pages: try again at the next poll
  absent,   ///< a page is not in memory: try again when pages have come
  revoked,  ///< a snapshot was given up: it cannot be sent any more
};

/// Puts a packet's payload together from a snapshot's frames and inline bytes, for every transport.
/// Engine thread; reads frames only while they are pinned.
///
/// Two forms. *Fragments*: header bytes and short inline bytes in the header buffer, then pieces of
/// the page frames themselves, each frame pinned until the packet completes. *Linear*: the payload
/// is copied behind the header, and the frame is pinned for the copy alone.
class PayloadGatherer {
 public:
  /// What has been gathered of one packet's payload so far.
  struct Gathering {
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
    bool full = false;  ///< nothing more goes into this packet
  };

  PayloadGatherer(pagecache::PageCache& cache, const nic::PortCapabilities& port, bool linear,
                  std::uint32_t buffer_bytes);

  /// Into an empty slot, behind a header of so many bytes. `mss_bytes`: what each packet of several
  /// holds, which the port is to cut (`several`); of a single one, all that it may hold.
  [[nodiscard]] Gathering begin(TxSlot& slot, std::uint32_t header_bytes, std::uint32_t mss_bytes,
                                bool several) const;
  /// Both take less than they are given when the packet is full; add_file leaves pins of its own
  /// behind in any case, for `undo`.
  static void add_inline(Gathering& gathering, std::span<const std::byte> bytes);
  BuildStatus add_file(Gathering& gathering, SpliceOp& op, std::uint64_t file_offset,
                       std::uint32_t bytes);
  /// Of the payload; 0 where the port sums.
  [[nodiscard]] PartialSum sum(const Gathering& gathering) const;

  /// Where the header is written.
  [[nodiscard]] std::span<std::byte> header_room(const TxSlot& slot) const;
  /// Once it is: makes it and what is buffered behind it the first fragment.
  void set_header(TxSlot& slot, std::uint32_t header_bytes, std::uint32_t buffered_bytes) const;
  /// Makes the slot empty again.
  void undo(TxSlot& slot);

  /// Whether the port completes checksums.
  [[nodiscard]] bool offload() const { return offload_; }
  /// Whether packets may be of several, which the port cuts.
  [[nodiscard]] bool may_be_cut() const { return offload_ && !linear_ && fragments_max_cut_ > 0; }

 private:
  [[nodiscard]] bool has_room_for_page(const Gathering& gathering) const;
  [[nodiscard]] bool append_fragment(TxSlot& slot, ArenaOffset offset, std::uint32_t bytes) const;

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
