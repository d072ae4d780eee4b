// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/clock.hpp"

namespace strictsend::pagecache {

/// Somebody for whom old pages are kept, a connection mostly, and how it gets on.
struct Holder {
  std::uint64_t frames = 0;  ///< kept for its snapshots
  /// When it last got over the end of a page, or began: what sets no frame free is no progress.
  Time progress;
};

/// Whose sends are given up when frames are wanted; none if nobody holds any.
///
/// First those that have stood still for `still_after`, and of these as of the others who holds
/// most frames for the longest time without progress, in frames times time: a fast one that holds
/// much for the moment stays before a slow one that holds much for good. Of equals the first.
[[nodiscard]] std::optional<std::size_t> choose_victim(std::span<const Holder> holders, Time now,
                                                       Duration still_after);

}  // namespace strictsend::pagecache
