// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace strictsend {

/// The Internet checksum (RFC 1071) in parts. A partial sum is an unfolded 64-bit one's-complement
/// sum over 16-bit words in *network* order, so partial sums of pieces add up, as long as each
/// piece starts at an even position of the whole; `swap_sum` turns the sum of a piece that starts
/// at an odd one.
using PartialSum = std::uint64_t;

/// Sums `bytes` as big-endian words; an odd last byte counts as the high byte of a word (RFC 1071
/// §2).
[[nodiscard]] PartialSum inet_sum(std::span<const std::byte> bytes);

/// Folds to 16 bits without the final complement.
[[nodiscard]] constexpr std::uint16_t fold_sum(PartialSum sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

/// The sum of the same piece when it starts at an odd byte (RFC 1071 §2(B), byte order
/// independence).
[[nodiscard]] constexpr PartialSum swap_sum(PartialSum sum) {
  const std::uint16_t folded = fold_sum(sum);
  return static_cast<std::uint16_t>((folded << 8) | (folded >> 8));
}

/// What goes into the checksum field.
[[nodiscard]] constexpr std::uint16_t finish_sum(PartialSum sum) {
  return static_cast<std::uint16_t>(~fold_sum(sum));
}

}  // namespace strictsend
