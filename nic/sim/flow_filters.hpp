// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "nic/port.hpp"

namespace strictsend::nic {

/// What a backend's XDP program or flow rules decide, for a port that has none: whether a frame is
/// for one of the accepted flows. Like them it looks at addresses and ports only; whether the
/// packet is sound is for its receiver to find out.
class FlowFilters {
 public:
  void add(const FlowFilter& filter) { filters_.push_back(filter); }
  [[nodiscard]] bool accept(std::span<const std::byte> frame) const;

 private:
  std::vector<FlowFilter> filters_;
};

}  // namespace strictsend::nic
