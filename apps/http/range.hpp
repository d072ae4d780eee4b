// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace strictsend::http {

/// Bytes [begin, end) of a representation; never empty.
struct ByteRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  [[nodiscard]] std::uint64_t length() const { return end - begin; }
  bool operator==(const ByteRange&) const = default;
};

/// What a Range field asks for of a representation.
struct RangeRequest {
  enum class Kind : std::uint8_t {
    whole,          ///< nothing that is served in ranges: as if there were no such field
    ranges,         ///< `ranges`, in the order of asking
    unsatisfiable,  ///< 416
  };
  Kind kind = Kind::whole;
  std::vector<ByteRange> ranges;
};

/// More ranges than this get the whole representation: each costs a piece of the stream's.
constexpr std::size_t ranges_max = 64;

/// Understands the value of a Range field (RFC 9110 §14.2) for `size_bytes`. Other units than bytes
/// are ignored. So that a short request cannot ask for more than the file is long, ranges that are
/// longer together than the representation, or more than `ranges_max`, get the whole (§14.2 allows
/// that); a set that is no set of ranges gets 416 (§15.5.17), and so does one of which no range
/// begins inside. Ranges beyond the end that stand beside others are left out.
[[nodiscard]] RangeRequest understand_range(std::string_view field, std::uint64_t size_bytes);

}  // namespace strictsend::http
