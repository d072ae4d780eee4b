// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace strictsend::wire {

// What a TCP header says, in host order and plain numbers: the same for reading and for writing.

/// The control bits that we act on. RFC 9293 §3.1. URG is no concern of ours (urgent data arrives
/// in line), ECN is not negotiated.
struct TcpFlags {
  bool fin = false;
  bool syn = false;
  bool rst = false;
  bool psh = false;
  bool ack = false;
  constexpr bool operator==(const TcpFlags&) const = default;
};

/// RFC 7323 §3.2.
struct TcpTimestamps {
  std::uint32_t value = 0;
  std::uint32_t echo = 0;
  constexpr bool operator==(const TcpTimestamps&) const = default;
};

struct TcpOptions {
  std::optional<std::uint16_t> mss;          ///< SYN only, RFC 9293 §3.7.1
  std::optional<std::uint8_t> window_scale;  ///< SYN only, at most 14, RFC 7323 §2.3
  bool sack_permitted = false;               ///< SYN only, RFC 2018 §2
  std::optional<TcpTimestamps> timestamps;
  constexpr bool operator==(const TcpOptions&) const = default;
};

inline constexpr std::uint8_t window_scale_max = 14;

/// The option bytes of a received header, to their end. nullopt: malformed. Unknown kinds are
/// skipped, of one given twice the last counts, and options meant for a SYN alone are ignored
/// elsewhere (RFC 7323 §2.2).
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
  return bytes;
}

}  // namespace strictsend::wire
