// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace strictsend {

/// An integer that is one kind of thing: a frame index is not a page index, and neither is a byte
/// count. Conversions are explicit (`.value`); comparison and stepping are what indices need,
/// arithmetic is not offered.
template <class Tag, class Rep>
struct Strong {
  using rep = Rep;
  Rep value = 0;

  constexpr Strong() = default;
  constexpr explicit Strong(Rep v) : value(v) {}
  constexpr auto operator<=>(const Strong&) const = default;
  constexpr Strong& operator++() {
    ++value;
    return *this;
  }
  [[nodiscard]] constexpr Strong plus(Rep n) const { return Strong(static_cast<Rep>(value + n)); }
};

}  // namespace strictsend

template <class Tag, class Rep>
struct std::hash<strictsend::Strong<Tag, Rep>> {
  std::size_t operator()(strictsend::Strong<Tag, Rep> s) const noexcept {
    return std::hash<Rep>{}(s.value);
  }
};
