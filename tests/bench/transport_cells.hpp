// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "tests/relay/relay_link.hpp"

namespace strictsend::bench {

/// One kind of path.
struct TransportCell {
  double loss_percent = 0;
  Duration rtt;
  bool reordering = false;
  std::uint64_t rate_bits_second = 50'000'000;
};

/// Every cell, or the few that tell most.
[[nodiscard]] std::vector<TransportCell> transport_cells(bool quick);

/// There (the data) and back. The data direction has the rate, a queue of one bandwidth-delay
/// product and the mishaps; each has half of the round-trip time.
[[nodiscard]] std::array<relay::LinkSetup, 2> links_of(const TransportCell& cell);

/// So that a download takes some five seconds: by the rate, or by what loss leaves of it to a
/// congestion control that answers to loss (Mathis, Semke, Mahdavi, Ott: "The macroscopic behavior
/// of the TCP congestion avoidance algorithm", 1997).
[[nodiscard]] std::uint64_t download_bytes(const TransportCell& cell, bool answers_to_loss);

/// Bytes of payload a second that the path can carry.
[[nodiscard]] double goodput_max(const TransportCell& cell);

}  // namespace strictsend::bench
