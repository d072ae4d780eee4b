// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <mutex>
#include <utility>

#include "pagecache/audit.hpp"
#include "pagecache/cache_core.hpp"
#include "pagecache/guard.hpp"
#include "pagecache/page_changer.hpp"

// The guard's work between faults. Each piece holds a file's lock for a bounded number of pages and
// then looks for faults, so that a writer does not wait for upkeep.

namespace strictsend::pagecache {
namespace {

constexpr std::uint64_t pages_per_lock = 32;

/// The frame that a snapshot reads, under the lock.
FrameIndex frame_for(const CacheCore& core, const PageEntry& entry, std::uint64_t epoch) {
  FrameIndex found{entry.current.load(std::memory_order_relaxed)};
  for (FrameIndex node{entry.history.load(std::memory_order_relaxed)};
       node != no_frame && core.frames()[node].bound.load(std::memory_order_relaxed) > epoch;
       node = FrameIndex{core.frames()[node].older.load(std::memory_order_relaxed)})
    found = node;
  return found;
}

}  // namespace

bool Guard::tick() {
  bool worked = finish_released();
  put_back_dequeued();
  worked = look_after_files() || worked;
  worked = core_.allocator().reap_waiting() != 0 || worked;
  keep_limits(core_.progress_now());
  retry_waiting_faults();
  core_.spare_waiters().frames_may_be_free();
  relieve_writers(monotonic_now());
  return worked;
}

bool Guard::finish_released() {
  SnapshotState* snapshot = core_.snapshots().pop_released();
  const bool any = snapshot != nullptr;
  while (snapshot != nullptr) {
    SnapshotState* next = snapshot->next_released;
    finish(*snapshot);
    snapshot = next;
    answer_faults();
  }
  return any;
}

void Guard::finish(SnapshotState& snapshot) {
  const std::shared_ptr<CachedFile> file = snapshot.file;
  {
    const std::scoped_lock lock(file->lock);
    verify(*file, snapshot, snapshot.collected_page, snapshot.end_page);
    std::erase(file->live, &snapshot);
    snapshot.pages_kept = 0;
  }
  collect_range(*file, snapshot.collected_page, snapshot.end_page);
  still_queued_.push_back(&snapshot);
  put_back_dequeued();
}

/// The loader may be about to look at a snapshot that is in its list.
void Guard::put_back_dequeued() {
  std::erase_if(still_queued_, [this](SnapshotState* snapshot) {
    if (snapshot->want_queued.load(std::memory_order_seq_cst)) return false;
    core_.snapshots().put_back(snapshot);
    return true;
  });
}

std::uint64_t Guard::collect_range(CachedFile& file, std::uint64_t begin, std::uint64_t end) {
  std::uint64_t freed = 0;
  while (begin < end) {
    {
      const std::scoped_lock lock(file.lock);
      PageChanger changer(core_, file);
      for (std::uint64_t budget = pages_per_lock; budget != 0; --budget) {
        begin = file.has_history.next(begin, end);
        if (begin >= end || begin >= file.has_history.size()) return freed;
        freed += changer.collect(begin++);
      }
    }
    answer_faults();
  }
  return freed;
}

bool Guard::look_after_files() {
  {
    const std::scoped_lock lock(added_mutex_);
    std::move(added_.begin(), added_.end(), std::back_inserter(files_));
    added_.clear();
  }
  bool worked = false;
  for (std::size_t i = 0; i < files_.size();) {
    const std::shared_ptr<CachedFile> file = files_[i];
    worked = collect_acknowledged(*file) || worked;
    worked = bring_home(*file) || worked;
    const std::scoped_lock lock(file->lock);
    if (file->has_history.count() == 0 && file->away.count() == 0) {
      file->in_upkeep = false;
      files_[i] = std::move(files_.back());
      files_.pop_back();
      work_.fetch_sub(1);
    } else {
      ++i;
    }
  }
  return worked;
}

bool Guard::collect_acknowledged(CachedFile& file) {
  bool worked = false;
  bool more = true;
  while (more) {
    more = false;
    {
      const std::scoped_lock lock(file.lock);
      PageChanger changer(core_, file);
      std::uint64_t budget = pages_per_lock;
      for (SnapshotState* snapshot : file.live) {
        // Acquire: sees the pins that the sender added before it gave the pages up.
        const std::uint64_t begin =
            std::min(snapshot->begin_offset.load(std::memory_order_acquire) >> page_shift,
                     snapshot->end_page);
        while (snapshot->collected_page < begin && budget != 0) {
          const std::uint64_t from = snapshot->collected_page;
          const std::uint64_t page = std::min(file.has_history.next(from, begin), begin);
          const std::uint64_t upto = std::min(page + 1, begin);
          verify(file, *snapshot, from, upto);
          snapshot->collected_page = upto;
          if (page < begin) {
            if (changer.keeps_for(page, snapshot->epoch)) --snapshot->pages_kept;
            changer.collect(page);
            --budget;
            worked = true;
          }
        }
      }
      more = budget == 0;
    }
    if (more) answer_faults();
  }
  return worked;
}

bool Guard::bring_home(CachedFile& file) {
  bool worked = false;
  std::uint64_t page = 0;
  for (bool more = true; more;) {
    {
      const std::scoped_lock lock(file.lock);
      PageChanger changer(core_, file);
      for (std::uint64_t budget = pages_per_lock; budget != 0; --budget) {
        page = file.away.next(page, file.away.size());
        if (page >= file.away.size()) break;
        worked = changer.come_home(page++) || worked;
      }
      more = page < file.away.size();
    }
    answer_faults();
  }
  return worked;
}

void Guard::verify(CachedFile& file, const SnapshotState& snapshot, std::uint64_t begin,
                   std::uint64_t end) {
  if (snapshot.audit_sums.empty()) return;
  for (std::uint64_t page = begin; page < end; ++page) {
    const PageEntry& entry = file.table[PageIndex{static_cast<std::uint32_t>(page)}];
    const FrameIndex frame = frame_for(core_, entry, snapshot.epoch);
    const std::span<const std::byte, page_bytes> bytes(core_.arena().dma(frame), page_bytes);
    const std::uint64_t expected = snapshot.audit_sums[page - snapshot.audit_first_page];
    // What is not in memory cannot have been written.
    if (expected == audit_unknown || (frame == no_frame && file.evictable)) continue;
    if (frame == no_frame || audit_sum(bytes) != expected) {
      core_.counters().audit_failures.fetch_add(1, std::memory_order_relaxed);
    }
  }
}

}  // namespace strictsend::pagecache
