// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace strictsend::tcp {

/// A sequence number: a position in a space of 2^32 that wraps. RFC 9293 §3.4. Two of them can only
/// be compared when they are less than 2^31 apart, which the window limits (RFC 7323 §2.3)
/// guarantee.
class Seq {
 public:
  constexpr Seq() = default;
  constexpr explicit Seq(std::uint32_t raw) : raw_(raw) {}
  [[nodiscard]] constexpr std::uint32_t raw() const { return raw_; }

  constexpr bool operator==(const Seq&) const = default;
  [[nodiscard]] constexpr bool before(Seq other) const {
    return static_cast<std::int32_t>(raw_ - other.raw_) < 0;
  }
  [[nodiscard]] constexpr bool at_or_before(Seq other) const { return !other.before(*this); }
  /// Bytes from `earlier` up to this one; `earlier` must not be after it.
  [[nodiscard]] constexpr std::uint32_t since(Seq earlier) const { return raw_ - earlier.raw_; }
  /// Whether it lies in [begin, begin + size).
  [[nodiscard]] constexpr bool in_window(Seq begin, std::uint32_t size) const {
    return raw_ - begin.raw_ < size;
  }

  constexpr Seq& operator+=(std::uint32_t bytes) {
    raw_ += bytes;
    return *this;
  }
  friend constexpr Seq operator+(Seq seq, std::uint32_t bytes) { return Seq(seq.raw_ + bytes); }
  friend constexpr Seq operator-(Seq seq, std::uint32_t bytes) { return Seq(seq.raw_ - bytes); }

 private:
  std::uint32_t raw_ = 0;
};

}  // namespace strictsend::tcp
