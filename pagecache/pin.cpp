// SPDX-License-Identifier: Apache-2.0
#include "pagecache/pin.hpp"

#include "base/mutation.hpp"

namespace strictsend::pagecache {
namespace {

struct Found {
  FrameIndex frame = no_frame;
  bool astray = false;  ///< the walk was led astray by changes
};

Found look_up(const PageEntry& entry, const FrameTable& frames, std::uint64_t epoch,
              std::uint32_t seq) {
  FrameIndex found = no_frame;
  std::uint32_t steps = 0;
  FrameIndex node{entry.history.load(std::memory_order_acquire)};
  while (node != no_frame) {
    if (frames[node].bound.load(std::memory_order_acquire) <= epoch) break;
    found = node;
    node = FrameIndex{frames[node].older.load(std::memory_order_acquire)};
    // A node may have moved to another page's history under our feet: do not follow it for ever.
    if (++steps % 16 == 0 && entry.seq.load(std::memory_order_acquire) != seq)
      return {.astray = true};
  }
  if (found != no_frame) return {.frame = found};
  return {.frame = FrameIndex{entry.current.load(std::memory_order_acquire)}};
}

}  // namespace

PinOutcome pin_page(const PageEntry& entry, const FrameTable& frames, std::uint64_t epoch,
                    FrameIndex& frame) {
  constexpr int attempts = 4;
  for (int attempt = 0; attempt < attempts; ++attempt) {
    const std::uint32_t seq = entry.seq.load(std::memory_order_acquire);
    if (seq % 2 != 0) return PinOutcome::busy;
    const auto [found, astray] = look_up(entry, frames, epoch, seq);
    if (astray) continue;
    if (found == no_frame) {
      if (entry.seq.load(std::memory_order_acquire) != seq) continue;
      return PinOutcome::absent;
    }
    yield_point();
    if (mutation_active(Mutation::pin_after_check)) {
      if (entry.seq.load(std::memory_order_seq_cst) != seq) continue;
      yield_point();
      frames[found].pins.fetch_add(1, std::memory_order_seq_cst);
      frame = found;
      return PinOutcome::pinned;
    }
    frames[found].pins.fetch_add(1, std::memory_order_seq_cst);
    yield_point();
    if (entry.seq.load(std::memory_order_seq_cst) == seq ||
        mutation_active(Mutation::no_revalidation)) {
      if (!frames[found].used.load(std::memory_order_relaxed))
        frames[found].used.store(true, std::memory_order_relaxed);
      frame = found;
      return PinOutcome::pinned;
    }
    frames[found].pins.fetch_sub(1, std::memory_order_release);
  }
  return PinOutcome::busy;
}

}  // namespace strictsend::pagecache
