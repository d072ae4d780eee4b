// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace strictsend {

/// A big-endian field of a wire format, stored as bytes so that a header struct has no padding and
/// any alignment.
template <class Host>
class BigEndian {
 public:
  constexpr BigEndian() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): a field is its value
  constexpr BigEndian(Host value) : bytes_(std::bit_cast<Bytes>(swapped(value))) {}

  [[nodiscard]] constexpr Host get() const { return swapped(std::bit_cast<Host>(bytes_)); }
  constexpr void set(Host value) { bytes_ = std::bit_cast<Bytes>(swapped(value)); }
  constexpr bool operator==(const BigEndian&) const = default;

 private:
  using Bytes = std::array<unsigned char, sizeof(Host)>;

  /// Between host and network order, as one instruction: compilers do not reliably make one out of
  /// a loop over bytes.
  static constexpr Host swapped(Host value) {
    static_assert(sizeof(Host) == 2 || sizeof(Host) == 4);
    if constexpr (std::endian::native == std::endian::big) {
      return value;
    } else if constexpr (sizeof(Host) == 2) {
      return __builtin_bswap16(value);
    } else {
      return __builtin_bswap32(value);
    }
  }

  Bytes bytes_ = {};
};

using be16 = BigEndian<std::uint16_t>;
using be32 = BigEndian<std::uint32_t>;

}  // namespace strictsend
