// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "base/page.hpp"
#include "pagecache/frame_table.hpp"
#include "pagecache/sparse_bits.hpp"

namespace strictsend::pagecache {

class FrameAudit;
class ChecksumMemo;

/// Frames that follow each other.
struct FrameRun {
  FrameIndex first;
  std::uint32_t count = 0;
};

/// Which free frames are handed out: file frames in runs, spare frames one by one.
///
/// The spare reserve [reserve_begin, end) is the guard's alone: a file can never take it, so a
/// writer can be answered while the cache is full. The guard may also take free file frames. A
/// frame goes back to where its index says.
///
/// Owned by CacheCore. Any thread but an engine's; every call is short and takes one mutex.
class FrameAllocator {
 public:
  enum class Order : std::uint8_t {
    fifo,  ///< a freed frame rests as long as possible
    lifo,  ///< a freed frame is reused at once: tests find early reuse sooner
  };

  /// `audit` may be null. The references outlive the allocator.
  FrameAllocator(FrameTable& frames, ChecksumMemo& memo, FrameAudit* audit, FrameIndex files_begin,
                 FrameIndex reserve_begin, FrameIndex end, Order order);

  /// Frames for `count` pages, in as few runs as there are; false and nothing taken when fewer are
  /// free. Their bytes are what they were.
  [[nodiscard]] bool allocate(std::uint64_t count, std::vector<FrameRun>& runs);
  /// The same for so many of `count` as are free; returns how many.
  std::uint64_t allocate_some(std::uint64_t count, std::vector<FrameRun>& runs);
  /// A frame for preserving; no_frame when there is none.
  [[nodiscard]] FrameIndex take_spare();

  /// Gives a frame back. It is reused only once no pin is on it: until then it waits here.
  void retire(FrameIndex frame);
  void retire(std::span<const FrameRun> runs);
  /// Frees waiting frames whose pins are gone; returns how many.
  std::uint64_t reap_waiting();

  [[nodiscard]] std::uint64_t total() const { return end_.value - files_begin_.value; }
  [[nodiscard]] std::uint64_t file_frames() const {
    return reserve_begin_.value - files_begin_.value;
  }
  [[nodiscard]] std::uint64_t free_frames() const { return free_.load(std::memory_order_relaxed); }
  /// Of those that files can have.
  [[nodiscard]] std::uint64_t free_file_frames() const;
  [[nodiscard]] std::uint64_t waiting_frames() const {
    return waiting_.load(std::memory_order_relaxed);
  }
  /// Audit: frames whose bytes changed while they were free, as far as noticed; `verify_free` looks
  /// at all of them.
  [[nodiscard]] std::uint64_t audit_failures() const;
  void verify_free();

 private:
  void allocate_locked(std::uint64_t count, std::vector<FrameRun>& runs);
  void free_locked(FrameIndex frame);
  void hand_out_locked(FrameIndex frame);
  [[nodiscard]] bool is_reserve(FrameIndex frame) const { return frame >= reserve_begin_; }

  FrameTable& frames_;
  ChecksumMemo& memo_;
  FrameAudit* audit_;
  const FrameIndex files_begin_;
  const FrameIndex reserve_begin_;
  const FrameIndex end_;
  const Order order_;

  mutable std::mutex mutex_;
  SparseBits free_file_frames_;         // by index - files_begin_
  std::uint64_t rover_ = 0;             // where the next search for a run begins
  std::vector<std::uint32_t> reserve_;  // a ring of free reserve frames
  std::uint64_t reserve_head_ = 0;
  std::uint64_t reserve_count_ = 0;
  FrameIndex waiting_head_ = no_frame;
  // Gauges, written under the mutex, read by anybody.
  std::atomic<std::uint64_t> free_{0};
  std::atomic<std::uint64_t> waiting_{0};
};

}  // namespace strictsend::pagecache
