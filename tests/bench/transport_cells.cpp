// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/transport_cells.hpp"

#include <algorithm>
#include <cmath>

namespace strictsend::bench {
namespace {

constexpr double payload_bytes = 1'448;  // beside timestamps
constexpr double frame_bytes = 1'514;
constexpr double target_seconds = 5;
constexpr std::uint64_t download_unit_bytes = 256 << 10;
constexpr std::uint64_t queue_bytes_floor = 64 << 10;
constexpr std::uint32_t reorder_ppm = 20'000;
constexpr Duration reorder_delay_floor = milliseconds(1);

double seconds_of(Duration duration) {
  return static_cast<double>(duration.ns) / 1e9;
}

}  // namespace

std::vector<TransportCell> transport_cells(bool quick) {
  if (quick) {
    return {{0, milliseconds(1)},  {0, milliseconds(100)}, {0.1, milliseconds(20)},
            {1, milliseconds(20)}, {3, milliseconds(1)},   {0, milliseconds(20), true}};
  }
  std::vector<TransportCell> cells;
  for (const double loss_percent : {0.0, 0.1, 1.0, 3.0})
    for (const int rtt_ms : {1, 20, 100})
      cells.push_back({loss_percent, milliseconds(rtt_ms)});
  for (const int rtt_ms : {1, 20, 100})
    cells.push_back({0, milliseconds(rtt_ms), true});
  cells.push_back({1, milliseconds(20), true});
  return cells;
}

std::array<relay::LinkSetup, 2> links_of(const TransportCell& cell) {
  const double bdp_bytes = static_cast<double>(cell.rate_bits_second) / 8 * seconds_of(cell.rtt);
  relay::LinkSetup there;
  there.rate_bits_second = cell.rate_bits_second;
  there.delay = cell.rtt / 2;
  there.queue_bytes_max = std::max(static_cast<std::uint64_t>(bdp_bytes), queue_bytes_floor);
  there.loss_ppm = static_cast<std::uint32_t>(std::lround(cell.loss_percent * 10'000));
  if (cell.reordering) {
    there.reorder_ppm = reorder_ppm;
    there.reorder_delay_max = std::max(cell.rtt / 4, reorder_delay_floor);
  }
  return {there, relay::LinkSetup{.delay = cell.rtt / 2}};
}

double goodput_max(const TransportCell& cell) {
  return static_cast<double>(cell.rate_bits_second) / 8 * payload_bytes / frame_bytes;
}

std::uint64_t download_bytes(const TransportCell& cell, bool answers_to_loss) {
  double bytes_second = goodput_max(cell);
  if (answers_to_loss && cell.loss_percent > 0) {
    const double by_loss =
        1.22 * payload_bytes / seconds_of(cell.rtt) / std::sqrt(cell.loss_percent / 100);
    bytes_second = std::min(bytes_second, by_loss);
  }
  const auto units = std::llround(bytes_second * target_seconds / download_unit_bytes);
  return static_cast<std::uint64_t>(std::max(units, 2LL)) * download_unit_bytes;
}

}  // namespace strictsend::bench
