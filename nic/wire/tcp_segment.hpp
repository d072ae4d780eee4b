// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace strictsend::wire {

// What a TCP header says, in host order and plain numbers: the same for reading and for writing.

/// The control bits that we act on. RFC 9293 §3.1, RFC 3168 §6.1. URG is no concern of ours (urgent
/// data arrives in line).
struct TcpFlags {
  bool fin = false;
  bool syn = false;
  bool rst = false;
  bool psh = false;
  bool ack = false;
  bool ece = false;
  bool cwr = false;
  constexpr bool operator==(const TcpFlags&) const = default;
};

/// RFC 7323 §3.2.
struct TcpTimestamps {
  std::uint32_t value = 0;
  std::uint32_t echo = 0;
  constexpr bool operator==(const TcpTimestamps&) const = default;
};

/// A run of octets that the receiver holds: its first, and the one behind its last. RFC 2018 §3.
struct SackBlock {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  constexpr bool operator==(const SackBlock&) const = default;
};

/// As many as an option can hold, in the order in which they stand in it. Those behind `count` are
/// default values.
struct SackBlocks {
  static constexpr std::size_t count_max = 4;
  std::array<SackBlock, count_max> blocks{};
  std::uint8_t count = 0;

  [[nodiscard]] constexpr std::span<const SackBlock> view() const {
    return std::span(blocks).first(count);
  }
  constexpr bool operator==(const SackBlocks&) const = default;
};

struct TcpOptions {
  std::optional<std::uint16_t> mss;          ///< SYN only, RFC 9293 §3.7.1
  std::optional<std::uint8_t> window_scale;  ///< SYN only, at most 14, RFC 7323 §2.3
  bool sack_permitted = false;               ///< SYN only, RFC 2018 §2
  std::optional<TcpTimestamps> timestamps;
  SackBlocks sack_blocks;  ///< never on a SYN, RFC 2018 §3
  constexpr bool operator==(const TcpOptions&) const = default;
};

inline constexpr std::uint8_t window_scale_max = 14;

/// The option bytes of a received header, to their end. nullopt: malformed. Unknown kinds are
/// skipped, of one given twice the last counts, and options meant for a SYN alone (RFC 7323 §2.2)
/// or for all others are ignored elsewhere. What SACK blocks say is not looked at.
[[nodiscard]] std::optional<TcpOptions> parse_tcp_options(std::span<const std::byte> bytes,
                                                          bool syn);

/// How many bytes these options take in a header: a multiple of 4.
[[nodiscard]] constexpr std::size_t tcp_option_bytes(const TcpOptions& options) {
  std::size_t bytes = 0;
  if (options.mss) bytes += 4;
  if (options.timestamps)
    bytes += 12;  // the SACK-permitted option takes the place of its two paddings
  else if (options.sack_permitted)
    bytes += 4;
  if (options.window_scale) bytes += 4;
  if (options.sack_blocks.count != 0) bytes += 4 + sizeof(SackBlock) * options.sack_blocks.count;
  return bytes;
}

inline constexpr std::size_t tcp_option_bytes_max = 40;  ///< RFC 9293 §3.1: 15 words less 5

/// How many SACK blocks fit beside the other options: 4, or 3 beside timestamps (RFC 2018 §3).
[[nodiscard]] constexpr std::size_t sack_blocks_max(const TcpOptions& options) {
  TcpOptions others = options;
  others.sack_blocks.count = 0;
  return std::min(SackBlocks::count_max,
                  (tcp_option_bytes_max - tcp_option_bytes(others) - 4) / sizeof(SackBlock));
}

}  // namespace strictsend::wire
