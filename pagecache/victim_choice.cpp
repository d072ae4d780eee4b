// SPDX-License-Identifier: Apache-2.0
#include "pagecache/victim_choice.hpp"

#include <algorithm>
#include <utility>

namespace strictsend::pagecache {
namespace {

/// Larger is worse. Both factors are cut so that their product fits: at an hour and 8 TiB.
std::pair<bool, std::uint64_t> badness(const Holder& holder, Time now, Duration still_after) {
  // A sender's clock may be a moment ahead of the guard's.
  const Duration still{std::max<std::int64_t>((now - holder.progress).ns, 0)};
  constexpr std::uint64_t time_max = std::uint64_t{1} << 32;  // more than an hour
  const std::uint64_t microseconds =
      std::min<std::uint64_t>(static_cast<std::uint64_t>(still.ns) / 1000 + 1, time_max);
  constexpr std::uint64_t frames_max = std::uint64_t{1} << 31;
  return {still >= still_after, std::min(holder.frames, frames_max) * microseconds};
}

}  // namespace

std::optional<std::size_t> choose_victim(std::span<const Holder> holders, Time now,
                                         Duration still_after) {
  std::optional<std::size_t> worst;
  std::pair<bool, std::uint64_t> worst_badness;
  for (std::size_t i = 0; i < holders.size(); ++i) {
    if (holders[i].frames == 0) continue;
    const auto its = badness(holders[i], now, still_after);
    if (worst && its <= worst_badness) continue;
    worst = i;
    worst_badness = its;
  }
  return worst;
}

}  // namespace strictsend::pagecache
