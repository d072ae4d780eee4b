// SPDX-License-Identifier: Apache-2.0
#pragma once

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
  constexpr BigEndian(Host value) {
    set(value);
  }  // NOLINT(google-explicit-constructor): a field is its value

  [[nodiscard]] constexpr Host get() const {
    Host value = 0;
    for (unsigned char byte : bytes_)
      value = static_cast<Host>((value << 8) | byte);
    return value;
  }
  constexpr void set(Host value) {
    for (int i = static_cast<int>(sizeof(Host)) - 1; i >= 0; --i) {
      bytes_[i] = static_cast<unsigned char>(value);
      value = static_cast<Host>(static_cast<std::uint64_t>(value) >> 8);
    }
  }
  constexpr bool operator==(const BigEndian&) const = default;

 private:
  unsigned char bytes_[sizeof(Host)] = {};
};

using be16 = BigEndian<std::uint16_t>;
using be32 = BigEndian<std::uint32_t>;

}  // namespace strictsend
