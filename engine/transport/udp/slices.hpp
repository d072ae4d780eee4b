// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/assert.hpp"
#include <strictsend/datagram.hpp>

namespace strictsend::udp {

/// One datagram's part of a splice.
struct Slice {
  std::uint64_t offset = 0;  ///< in the splice's range
  std::uint32_t bytes = 0;
  std::uint64_t number = 0;  ///< of the datagram, from 0 on
  bool last = false;
  bool operator==(const Slice&) const = default;
};

/// A splice's range cut into slices, of which one is next. Pure.
///
///     |--slice--|--slice--|--slice--|-last-|
///     0                   ^ next           length
class Slices {
 public:
  Slices() = default;
  /// An empty range has one slice, of no bytes: the datagram is the header alone.
  Slices(std::uint64_t length_bytes, std::uint32_t slice_bytes)
      : length_bytes_(length_bytes), slice_bytes_(slice_bytes) {
    STRICTSEND_ASSERT(slice_bytes > 0);
  }

  [[nodiscard]] bool done() const { return done_; }
  /// The one to be sent now; not when done.
  [[nodiscard]] Slice next() const {
    STRICTSEND_ASSERT(!done_);
    const std::uint64_t left = length_bytes_ - offset_;
    return {.offset = offset_,
            .bytes = static_cast<std::uint32_t>(std::min<std::uint64_t>(left, slice_bytes_)),
            .number = number_,
            .last = left <= slice_bytes_};
  }
  /// It was handed over: goes on to the one behind it.
  void advance() {
    const Slice slice = next();
    offset_ += slice.bytes;
    ++number_;
    done_ = slice.last;
  }
  /// Where the bytes begin that were not handed over.
  [[nodiscard]] std::uint64_t handed_over_to() const { return offset_; }

 private:
  std::uint64_t length_bytes_ = 0;
  std::uint64_t offset_ = 0;
  std::uint64_t number_ = 0;
  std::uint32_t slice_bytes_ = 1;
  bool done_ = false;
};

/// Adds to what stands in the field, which lies within the header.
inline void add_to_field(std::span<std::byte> header, const DatagramField& field,
                         std::uint64_t value) {
  // From the least significant byte on; the carry beyond the width is lost.
  for (std::size_t i = field.width_bytes; i-- > 0; value >>= 8) {
    std::byte& byte = header[field.offset_bytes + i];
    value += std::to_integer<std::uint64_t>(byte);
    byte = static_cast<std::byte>(value);
  }
}

}  // namespace strictsend::udp
