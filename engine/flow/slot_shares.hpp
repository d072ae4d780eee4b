// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/assert.hpp"

namespace strictsend::engine {

/// How an engine's connection slots are dealt out to its loops: evenly, in runs, every slot to
/// exactly one. Pure arithmetic.
class SlotShares {
 public:
  /// At least one slot for each loop.
  SlotShares(std::uint32_t slots, std::uint32_t loops) : slots_(slots), loops_(loops) {
    STRICTSEND_ASSERT(loops > 0 && slots >= loops);
  }

  [[nodiscard]] std::uint32_t slots() const { return slots_; }
  [[nodiscard]] std::uint32_t first(std::uint32_t loop) const {
    return static_cast<std::uint32_t>(std::uint64_t{slots_} * loop / loops_);
  }
  [[nodiscard]] std::uint32_t count(std::uint32_t loop) const {
    return first(loop + 1) - first(loop);
  }
  /// The loop with first(loop) <= slot < first(loop + 1).
  [[nodiscard]] std::uint32_t owner(std::uint32_t slot) const {
    return static_cast<std::uint32_t>(((std::uint64_t{slot} + 1) * loops_ - 1) / slots_);
  }

 private:
  std::uint32_t slots_;
  std::uint32_t loops_;
};

}  // namespace strictsend::engine
