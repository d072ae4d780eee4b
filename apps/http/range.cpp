// SPDX-License-Identifier: Apache-2.0
#include "apps/http/range.hpp"

#include <algorithm>
#include <limits>
#include <optional>

#include "apps/http/field.hpp"

namespace strictsend::http {
namespace {

constexpr std::uint64_t no_end = std::numeric_limits<std::uint64_t>::max();

/// Digits alone. What no 64 bits hold is beyond the end of every file, and means just that.
std::optional<std::uint64_t> number(std::string_view text) {
  if (text.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    value = value > (no_end - digit) / 10 ? no_end : value * 10 + digit;
  }
  return value;
}

/// A range-spec as positions, still to be cut at the end; nothing where it is none.
std::optional<ByteRange> range_of(std::string_view spec, std::uint64_t size_bytes) {
  const std::size_t dash = spec.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const std::string_view first = trimmed(spec.substr(0, dash));
  const std::string_view last = trimmed(spec.substr(dash + 1));
  if (first.empty()) {
    const auto suffix = number(last);
    if (!suffix) return std::nullopt;
    return ByteRange{size_bytes - std::min(*suffix, size_bytes), size_bytes};
  }
  const auto begin = number(first);
  if (!begin) return std::nullopt;
  if (last.empty()) return ByteRange{*begin, size_bytes};
  const auto end = number(last);
  if (!end) return std::nullopt;
  return ByteRange{*begin, *end < size_bytes ? *end + 1 : size_bytes};
}

}  // namespace

RangeRequest understand_range(std::string_view field, std::uint64_t size_bytes) {
  constexpr std::string_view unit = "bytes=";
  if (!equal_ignoring_case(field.substr(0, unit.size()), unit)) return {};
  field.remove_prefix(unit.size());
  if (field.empty()) return {};

  RangeRequest request{RangeRequest::Kind::unsatisfiable, {}};
  std::uint64_t total_bytes = 0;
  while (true) {
    const std::size_t comma = field.find(',');
    const auto range = range_of(field.substr(0, comma), size_bytes);
    if (!range) return {RangeRequest::Kind::unsatisfiable, {}};
    if (range->begin < range->end) {
      if (request.ranges.size() == ranges_max) return {};
      request.ranges.push_back(*range);
      total_bytes += range->length();
      if (total_bytes > size_bytes) return {};
    } else if (range->begin == 0) {
      return {};  // of an empty file, from its begin on: that is all of it
    }
    if (comma == std::string_view::npos) break;
    field.remove_prefix(comma + 1);
  }
  if (!request.ranges.empty()) request.kind = RangeRequest::Kind::ranges;
  return request;
}

}  // namespace strictsend::http
