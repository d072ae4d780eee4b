// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#ifdef STRICTSEND_MUTATIONS
#include <atomic>
#include <sched.h>
#endif

namespace strictsend {

/// Deliberate errors in the strictness protocol, one at a time, to prove that the oracle finds
/// them. They exist only in the library variant that the tests link (-DSTRICTSEND_MUTATIONS);
/// elsewhere `mutation_active` is constant false and the compiler drops the wrong branch.
enum class Mutation : std::uint8_t {
  none,
  no_protect,                 ///< freeze marks pages protected without protecting them
  register_after_protect,     ///< the snapshot becomes known only after its range was protected
  answer_during_protect,      ///< write faults are answered while a freeze is still protecting
  lift_without_lock,          ///< decides under the file lock, lifts the protection after it
  pin_after_check,            ///< the sender validates first and pins afterwards
  no_revalidation,            ///< the sender pins and does not look again
  lift_under_descriptor,      ///< lifts though a descriptor is out, when no snapshot needs the page
  collect_too_early,          ///< history is unlinked while an older snapshot still reads it
  stale_sticky_bit,           ///< lifting leaves the page marked protected
  redirect_exposes_early,     ///< the writer gets its new frame before the bytes are copied into it
  frame_reused_while_pinned,  ///< a frame goes back to the free list with descriptors on it
  home_exposes_snapshot_frame,    ///< coming home exposes a frame that a snapshot reads
  relaxed_mark,                   ///< the page's sequence count is made odd with a relaxed store
  evict_written,                  ///< a page leaves the memory although the disk has other bytes
  evict_under_descriptor,         ///< a page's frame goes to others though a descriptor is on it
  evict_in_plain_sight,           ///< a mapping goes on showing a frame that is another's
  show_what_is_read,              ///< a mapping shows a frame, unprotected, that snapshots read
  collect_without_revoking,       ///< a victim's frames are taken, and its sender is not told
  load_whatever_is_there,         ///< pages are read without a look at whether the file was changed
  release_at_tx_completion,       ///< engine: bytes are given up when sent, not when acknowledged
  release_under_descriptor,       ///< engine: bytes are given up at ACK though a descriptor is out
  unpin_at_transmit,              ///< engine: frames are unpinned when a descriptor is handed over
  release_datagrams_at_transmit,  ///< engine: datagrams count as complete when handed over
  pin_after_doorbell,             ///< engine: frames are pinned once the device has been told
};

#ifdef STRICTSEND_MUTATIONS

struct MutationControl {
  static inline std::atomic<Mutation> active{Mutation::none};
  /// One call of `yield_point` in this many gives the processor away; 0: none does.
  static inline std::atomic<std::uint32_t> yield_one_in{0};
  static inline std::atomic<std::uint64_t> seed{1};
};

inline bool mutation_active(Mutation mutation) {
  return MutationControl::active.load(std::memory_order_relaxed) == mutation;
}

/// Marks a place where a race could do harm; the stress tests widen it by yielding there.
inline void yield_point() {
  const std::uint32_t one_in = MutationControl::yield_one_in.load(std::memory_order_relaxed);
  if (one_in == 0) return;
  thread_local std::uint64_t state =
      MutationControl::seed.fetch_add(0x9e3779b97f4a7c15, std::memory_order_relaxed) | 1;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  if (state % one_in != 0) return;
  for (std::uint64_t yields = 1 + (state >> 32) % 4; yields != 0; --yields)
    ::sched_yield();
}

#else

constexpr bool mutation_active(Mutation) {
  return false;
}
inline void yield_point() {}

#endif

}  // namespace strictsend
