// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "base/assert.hpp"
#include "base/page.hpp"

namespace strictsend::pagecache {

/// What is known of one frame. It is also the history node of the page whose old bytes the frame
/// holds: nodes are never freed, so a walk without a lock always reads a node, if not the right
/// one, and the page's sequence count tells which.
struct Frame {
  /// Descriptors, copies and I/O on the frame. Engine threads add (seq_cst, half of the Dekker pair
  /// with PageEntry::seq and SnapshotState::revoked) and subtract (release). The guard reads it;
  /// any value may include transient pins of failed look-ups, so it only ever means "busy".
  std::atomic<std::uint32_t> pins{0};
  /// The next older history node. Written under the file's lock while the page's seq is odd.
  std::atomic<std::uint32_t> older{0};
  /// As a history node: good for epochs below this. Written like `older`.
  std::atomic<std::uint64_t> bound{0};
  /// Next in the allocator's list of frames that wait for their pins. Under the allocator's lock.
  std::uint32_t waiting_next = 0;
  /// Sent from since eviction looked last: a second chance (the clock algorithm). Relaxed.
  std::atomic<bool> used{false};
};

/// All frames' metadata, by frame index. Owned by CacheCore; constant in size.
class FrameTable {
 public:
  explicit FrameTable(std::uint64_t frames)
      : size_(frames), frames_(std::make_unique<Frame[]>(frames)) {}

  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] Frame& operator[](FrameIndex frame) const {
    STRICTSEND_DEBUG_ASSERT(frame.value < size_);
    return frames_[frame.value];
  }
  /// Frames with pins now; a scan, for reports only.
  [[nodiscard]] std::uint64_t count_pinned() const {
    std::uint64_t pinned = 0;
    for (std::uint64_t i = 0; i < size_; ++i)
      pinned += frames_[i].pins.load(std::memory_order_relaxed) != 0 ? 1U : 0U;
    return pinned;
  }

 private:
  std::uint64_t size_;
  std::unique_ptr<Frame[]> frames_;
};

}  // namespace strictsend::pagecache
