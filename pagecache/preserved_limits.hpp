// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/page.hpp"
#include "pagecache/page_cache.hpp"

namespace strictsend::pagecache {

/// How many frames may hold old pages for snapshots. A frame that several snapshots read is one
/// frame of the total, and counts in full for each owner: it is what that one would keep alone.
struct PreservedLimits {
  std::uint64_t frames_max = 0;            ///< here writers wait until sends have been given up
  std::uint64_t relieve_above = 0;         ///< beyond it they are, so that writers need not wait
  std::uint64_t frames_per_owner_max = 0;  ///< beyond it those of this owner are
  std::uint64_t look_above = 0;            ///< up to here no limit can have been passed
  std::uint64_t look_every = 0;            ///< beyond it the guard looks after so many more
};

/// `spare_frames` and `file_frames` are all that the cache has.
[[nodiscard]] constexpr PreservedLimits preserved_limits(const CacheConfig& config,
                                                         std::uint64_t spare_frames,
                                                         std::uint64_t file_frames) {
  constexpr std::uint64_t look_every_max = 64;
  const auto frames = [](std::uint64_t bytes) {
    return std::max<std::uint64_t>(bytes >> page_shift, 1);
  };
  PreservedLimits limits;
  // Old pages never drive more than half of the files' frames out.
  limits.frames_max = config.preserved_bytes_max != 0 ? frames(config.preserved_bytes_max)
                                                      : spare_frames + file_frames / 2;
  const std::uint64_t headroom = limits.frames_max / 8;
  limits.relieve_above = limits.frames_max - headroom;
  // The reserve is there to be used, if by one alone.
  limits.frames_per_owner_max = config.preserved_bytes_per_owner_max != 0
                                    ? frames(config.preserved_bytes_per_owner_max)
                                    : std::max(spare_frames, limits.frames_max / 2);
  limits.look_above = std::min(limits.relieve_above, limits.frames_per_owner_max);
  limits.look_every = std::clamp<std::uint64_t>(headroom / 4, 1, look_every_max);
  return limits;
}

}  // namespace strictsend::pagecache
