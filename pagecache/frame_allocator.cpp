// SPDX-License-Identifier: Apache-2.0
#include "pagecache/frame_allocator.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/mutation.hpp"
#include "pagecache/audit.hpp"
#include "pagecache/checksum_memo.hpp"

namespace strictsend::pagecache {

FrameAllocator::FrameAllocator(FrameTable& frames, ChecksumMemo& memo, FrameAudit* audit,
                               FrameIndex files_begin, FrameIndex reserve_begin, FrameIndex end,
                               Order order)
    : frames_(frames),
      memo_(memo),
      audit_(audit),
      files_begin_(files_begin),
      reserve_begin_(reserve_begin),
      end_(end),
      order_(order),
      free_file_frames_(reserve_begin.value - files_begin.value),
      reserve_(end.value - reserve_begin.value) {
  for (FrameIndex frame = files_begin; frame < end; ++frame)
    free_locked(frame);
}

bool FrameAllocator::allocate(std::uint64_t count, std::vector<FrameRun>& runs) {
  const std::scoped_lock lock(mutex_);
  if (free_file_frames_.count() < count) return false;
  allocate_locked(count, runs);
  return true;
}

std::uint64_t FrameAllocator::allocate_some(std::uint64_t count, std::vector<FrameRun>& runs) {
  const std::scoped_lock lock(mutex_);
  count = std::min(count, free_file_frames_.count());
  if (count != 0) allocate_locked(count, runs);
  return count;
}

void FrameAllocator::allocate_locked(std::uint64_t count, std::vector<FrameRun>& runs) {
  const std::uint64_t size = file_frames();
  if (order_ == Order::lifo || rover_ >= size) rover_ = 0;
  std::uint64_t left = count;
  // First a single run that holds all, from where the last search ended, then from the start …
  for (const std::uint64_t from : {rover_, std::uint64_t{0}}) {
    for (std::uint64_t begin = free_file_frames_.next(from, size); begin < size;) {
      const std::uint64_t end = free_file_frames_.next_clear(begin, size);
      if (end - begin >= left) {
        for (std::uint64_t i = begin; i < begin + left; ++i)
          hand_out_locked(files_begin_.plus(static_cast<std::uint32_t>(i)));
        if (left != 0) {
          runs.push_back({files_begin_.plus(static_cast<std::uint32_t>(begin)),
                          static_cast<std::uint32_t>(left)});
        }
        rover_ = begin + left;
        return;
      }
      begin = free_file_frames_.next(end, size);
    }
  }
  // … else pieces, in order.
  for (std::uint64_t begin = free_file_frames_.next(0, size); left != 0;
       begin = free_file_frames_.next(begin, size)) {
    const std::uint64_t end = std::min(free_file_frames_.next_clear(begin, size), begin + left);
    runs.push_back({files_begin_.plus(static_cast<std::uint32_t>(begin)),
                    static_cast<std::uint32_t>(end - begin)});
    left -= end - begin;
    for (; begin < end; ++begin)
      hand_out_locked(files_begin_.plus(static_cast<std::uint32_t>(begin)));
  }
}

FrameIndex FrameAllocator::take_spare() {
  const std::scoped_lock lock(mutex_);
  FrameIndex frame = no_frame;
  if (reserve_count_ != 0) {
    --reserve_count_;
    if (order_ == Order::lifo) {
      frame = FrameIndex{reserve_[(reserve_head_ + reserve_count_) % reserve_.size()]};
    } else {
      frame = FrameIndex{reserve_[reserve_head_]};
      reserve_head_ = (reserve_head_ + 1) % reserve_.size();
    }
  } else {
    const std::uint64_t size = file_frames();
    const std::uint64_t index = free_file_frames_.next(0, size);
    if (index == size) return no_frame;
    frame = files_begin_.plus(static_cast<std::uint32_t>(index));
  }
  hand_out_locked(frame);
  return frame;
}

void FrameAllocator::hand_out_locked(FrameIndex frame) {
  if (!is_reserve(frame)) free_file_frames_.clear(frame.value - files_begin_.value);
  free_.fetch_sub(1, std::memory_order_relaxed);
  memo_.invalidate(frame);
  if (audit_ != nullptr && !audit_->unchanged(frame)) ++audit_->failures;
}

void FrameAllocator::free_locked(FrameIndex frame) {
  STRICTSEND_ASSERT(frame >= files_begin_ && frame < end_);
  if (audit_ != nullptr) audit_->became_free(frame);
  if (is_reserve(frame)) {
    STRICTSEND_ASSERT(reserve_count_ < reserve_.size());
    reserve_[(reserve_head_ + reserve_count_++) % reserve_.size()] = frame.value;
  } else {
    STRICTSEND_ASSERT(!free_file_frames_.test(frame.value - files_begin_.value));
    free_file_frames_.set(frame.value - files_begin_.value);
  }
  free_.fetch_add(1, std::memory_order_relaxed);
}

void FrameAllocator::retire(FrameIndex frame) {
  const std::scoped_lock lock(mutex_);
  // Acquire: what the last descriptor read happened before the next owner writes. Sequentially
  // consistent, because for a revoked snapshot this is the guard's half of "revoke, then look for
  // pins", as against the sender's "pin, then look for revoked".
  if (frames_[frame].pins.load(std::memory_order_seq_cst) == 0 ||
      mutation_active(Mutation::frame_reused_while_pinned) ||
      mutation_active(Mutation::evict_under_descriptor)) {
    free_locked(frame);
    return;
  }
  frames_[frame].waiting_next = waiting_head_.value;
  waiting_head_ = frame;
  waiting_.fetch_add(1, std::memory_order_relaxed);
}

void FrameAllocator::retire(std::span<const FrameRun> runs) {
  for (const FrameRun& run : runs) {
    for (std::uint32_t i = 0; i < run.count; ++i)
      retire(run.first.plus(i));
  }
}

std::uint64_t FrameAllocator::reap_waiting() {
  if (waiting_frames() == 0) return 0;
  const std::scoped_lock lock(mutex_);
  std::uint64_t freed = 0;
  FrameIndex still_waiting = no_frame;
  for (FrameIndex frame = waiting_head_; frame != no_frame;) {
    const FrameIndex next{frames_[frame].waiting_next};
    if (frames_[frame].pins.load(std::memory_order_acquire) == 0) {
      free_locked(frame);
      ++freed;
    } else {
      frames_[frame].waiting_next = still_waiting.value;
      still_waiting = frame;
    }
    frame = next;
  }
  waiting_head_ = still_waiting;
  waiting_.fetch_sub(freed, std::memory_order_relaxed);
  return freed;
}

std::uint64_t FrameAllocator::free_file_frames() const {
  const std::scoped_lock lock(mutex_);
  return free_file_frames_.count();
}

std::uint64_t FrameAllocator::audit_failures() const {
  const std::scoped_lock lock(mutex_);
  return audit_ == nullptr ? 0 : audit_->failures;
}

void FrameAllocator::verify_free() {
  const std::scoped_lock lock(mutex_);
  if (audit_ == nullptr) return;
  const auto verify = [this](FrameIndex frame) {
    if (audit_->unchanged(frame)) return;
    ++audit_->failures;
    audit_->became_free(frame);  // one change is one failure
  };
  for (std::uint64_t i = 0; i < reserve_count_; ++i)
    verify(FrameIndex{reserve_[(reserve_head_ + i) % reserve_.size()]});
  const std::uint64_t size = file_frames();
  for (std::uint64_t i = free_file_frames_.next(0, size); i < size;
       i = free_file_frames_.next(i + 1, size))
    verify(files_begin_.plus(static_cast<std::uint32_t>(i)));
}

}  // namespace strictsend::pagecache
