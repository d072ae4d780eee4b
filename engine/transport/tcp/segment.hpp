// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "engine/transport/tcp/seqnum.hpp"

namespace strictsend::tcp {

/// Control bits. RFC 9293 §3.1.
struct Flags {
  bool fin = false;
  bool syn = false;
  bool rst = false;
  bool psh = false;
  bool ack = false;
  bool ece = false;  ///< RFC 3168 §6.1
  bool cwr = false;
  constexpr bool operator==(const Flags&) const = default;
};

/// [begin, end), which the receiver has out of order, or had twice. RFC 2018 §3, RFC 2883 §4.
struct SackBlock {
  Seq begin;
  Seq end;
  constexpr bool operator==(const SackBlock&) const = default;
};

/// Of one segment; as many as its option space holds.
struct SackBlocks {
  static constexpr std::uint8_t count_max = 4;
  std::array<SackBlock, count_max> blocks{};
  std::uint8_t count = 0;
  constexpr void add(SackBlock block) {
    if (count < count_max) blocks[count++] = block;
  }
  [[nodiscard]] const SackBlock* begin() const { return blocks.data(); }
  [[nodiscard]] const SackBlock* end() const { return blocks.data() + count; }
};

/// RFC 7323 §3.
struct Timestamps {
  std::uint32_t value = 0;
  std::uint32_t echo = 0;
  constexpr bool operator==(const Timestamps&) const = default;
};

/// The options of a SYN that we know (RFC 9293 §3.2, 7323 §2.2, 2018 §2).
struct SynOptions {
  std::optional<std::uint16_t> mss;
  std::optional<std::uint8_t> window_scale;
  bool sack_permitted = false;
  constexpr bool operator==(const SynOptions&) const = default;
};

/// A received segment, parsed and with its checksum verified; the payload itself stays with the
/// caller.
struct SegmentIn {
  Seq seq;
  Seq ack;
  std::uint16_t window = 0;  ///< as on the wire, unscaled
  Flags flags;
  std::uint32_t payload_bytes = 0;
  std::optional<Timestamps> timestamps;
  SynOptions syn_options;
  SackBlocks sacks;
  bool congestion_experienced = false;  ///< its IP header says CE (RFC 3168 §5)
};

/// A segment to be sent: what the header says, and which bytes of the sent stream are its payload.
struct SegmentOut {
  Seq seq;
  Seq ack;
  std::uint16_t window = 0;  ///< as on the wire, already scaled down
  Flags flags;
  std::uint64_t stream_offset =
      0;  ///< of the first payload byte in everything the application ever sent
  std::uint32_t payload_bytes = 0;
  /// The effective MSS. A payload above it is several packets, which the port is to cut: all of
  /// this size but the last, which alone has the FIN and PSH.
  std::uint32_t mss_bytes = 0;
  std::optional<Timestamps> timestamps;
  SynOptions syn_options;
  bool retransmission = false;
  bool ecn_capable = false;  ///< its IP header may say ECT(0): RFC 3168 §6.1.2, new data alone

  [[nodiscard]] constexpr bool is_several_packets() const { return payload_bytes > mss_bytes; }
  [[nodiscard]] constexpr std::uint32_t packets() const {
    return is_several_packets() ? (payload_bytes - 1) / mss_bytes + 1 : 1;
  }

  /// Sends only the first part of the payload now; what ended with the last byte does not go.
  constexpr void shorten(std::uint32_t bytes) {
    if (bytes >= payload_bytes) return;
    payload_bytes = bytes;
    flags.fin = false;
    flags.psh = false;
  }
};

}  // namespace strictsend::tcp
