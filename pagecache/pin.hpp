// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/page.hpp"
#include "pagecache/frame_table.hpp"
#include "pagecache/page_cache.hpp"
#include "pagecache/page_table.hpp"

namespace strictsend::pagecache {

/// The sender's half of the protocol, without a lock: finds the frame that holds the page as of
/// `epoch`, pins it, and looks again whether it was still the one. Any thread; `pinned`, `busy`
/// or `absent`.
///
///     sender                                   writer (under the file's lock)
///     s = seq (acquire), even                  seq = odd (seq_cst)
///     f = oldest history node with bound >     pins[f] (seq_cst): 0 -> may be overwritten
///         epoch, else current (acquire)                           > 0 -> stays as it is
///     pins[f] += 1 (seq_cst)                   history, current changed
///     seq == s (seq_cst)? f is valid           seq = even (release)
///
/// Either the sender's second look sees the odd count, or the writer's look sees the pin.
[[nodiscard]] PinOutcome pin_page(const PageEntry& entry, const FrameTable& frames,
                                  std::uint64_t epoch, FrameIndex& frame);

}  // namespace strictsend::pagecache
