// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.hpp"
#include "engine/transport/tcp/congestion_control.hpp"

namespace strictsend::tcp {

/// One kind of path, and how many downloads share its bottleneck.
struct GoodputCell {
  CongestionAlgorithm congestion = CongestionAlgorithm::cubic;
  std::uint32_t loss_ppm = 0;
  Duration rtt;
  bool reordering = false;
  std::uint32_t flows = 1;
};

struct GoodputResult {
  /// Of the payload that the bottleneck could have carried: 1000 is a link that was never idle and
  /// carried nothing twice.
  std::uint32_t goodput_permille = 0;
  std::uint64_t retransmitted_bytes = 0;
  std::string failure;  ///< what went wrong with the run itself; empty if nothing

  bool operator==(const GoodputResult&) const = default;
};

/// Ten seconds of downloads without an end over a bottleneck of 100 Mbit/s, in virtual time:
/// tcp::Connections send to model receivers. The mean of a few runs where chance has a say, each
/// with a seed of its own: a pure function of the cell and the code under test.
[[nodiscard]] GoodputResult measure_goodput(const GoodputCell& cell);

/// Every cell, as the text that is kept in goodput_matrix.snapshot: two digits of each number
/// count, so that it is the same until something has changed that matters.
[[nodiscard]] std::string goodput_matrix();

}  // namespace strictsend::tcp
