// SPDX-License-Identifier: Apache-2.0
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>
#include <time.h>

#include "base/mutation.hpp"
#include "pagecache/audit.hpp"
#include "pagecache/cache_core.hpp"
#include "pagecache/guard.hpp"
#include "pagecache/page_changer.hpp"

// The freeze, on the submitting thread: make the range's protection complete and register the
// snapshot inside one critical section of the file, so that no fault is answered in between.

namespace strictsend::pagecache {
namespace {

/// Protected gaps up to this long are protected again rather than paid for with another call.
constexpr std::uint64_t merge_gap_pages = 16;
constexpr std::uint64_t prepass_chunk_pages = 64;
constexpr Duration guard_wait_limit = seconds(1);

/// Protects what is unprotected in [begin, end), under the lock. Returns an errno; after one,
/// nothing is promised.
int protect_range(CachedFile& file, std::uint64_t begin, std::uint64_t end) {
  const std::uint64_t mapped = file.mapping == nullptr ? 0 : file.mapping->pages();
  std::uint64_t run = file.unprotected.next(begin, end);
  while (run < end) {
    std::uint64_t run_end = file.unprotected.next_clear(run, end);
    std::uint64_t next = file.unprotected.next(run_end, end);
    // What the mapping does not show may not be protectable (Mapping::lose).
    while (next < end && next - run_end <= merge_gap_pages &&
           file.hidden.next(run_end, next) == next) {
      run_end = file.unprotected.next_clear(next, end);
      next = file.unprotected.next(run_end, end);
    }
    const std::uint64_t mapped_end = std::min(run_end, mapped);
    if (run < mapped_end && !mutation_active(Mutation::no_protect)) {
      const int error = file.mapping->protect(run, mapped_end - run);
      if (error != 0) return error;
    }
    yield_point();
    file.unprotected.clear_range(run, run_end);
    run = next;
  }
  return 0;
}

/// Protects most of a cold range in short critical sections, so that the one that counts is short.
int protect_beforehand(CachedFile& file, std::uint64_t begin, std::uint64_t end) {
  while (begin < end) {
    const std::scoped_lock lock(file.lock);
    const std::uint64_t limit = std::min(end, file.page_count);
    begin = file.unprotected.next(begin, limit);
    if (begin >= limit) return 0;
    const std::uint64_t chunk_end = std::min(begin + prepass_chunk_pages, limit);
    // What tells the critical section that this page may have been written goes with its bit.
    file.written = true;
    if (const int error = protect_range(file, begin, chunk_end); error != 0) return error;
    begin = chunk_end;
  }
  return 0;
}

/// Never the same twice, in this process or another.
std::string unique_tag() {
  static const std::uint64_t nonce = [] {
    std::uint64_t value = 0;
    if (::getrandom(&value, sizeof value, 0) != sizeof value)
      value = static_cast<std::uint64_t>(monotonic_now().ns);
    return value;
  }();
  static std::atomic<std::uint64_t> counter{0};
  static constexpr char digits[] = "0123456789abcdef";
  std::string tag;
  const auto append = [&tag](std::uint64_t value) {
    for (unsigned shift = 64; shift != 0; shift -= 4)
      tag += digits[(value >> (shift - 4)) & 15];
  };
  append(nonce);
  tag += '-' + std::to_string(counter.fetch_add(1, std::memory_order_relaxed));
  return tag;
}

/// Under the lock, before anything is protected: an unprotected page may have been written since
/// the last freeze without anybody noticing.
void refresh_attributes(CachedFile& file, bool protection) {
  file.attributes.size_bytes = file.size_bytes.load(std::memory_order_relaxed);
  const bool unwatched = !protection && file.mapping != nullptr;
  if (!file.written && file.unprotected.count() == 0 && !unwatched) return;
  file.written = false;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  file.attributes.mtime_ns = std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
  file.attributes.entity_tag = unique_tag();
}

/// Of what there is, [0, size).
void set_range(SnapshotState& snapshot, std::uint64_t size, std::uint64_t offset,
               std::uint64_t length_bytes, Time now) {
  snapshot.offset = std::min(offset, size);
  snapshot.end_offset = snapshot.offset + std::min(length_bytes, size - snapshot.offset);
  snapshot.collected_page = snapshot.offset >> page_shift;
  // An empty range covers no page.
  snapshot.end_page = snapshot.end_offset == snapshot.offset ? snapshot.collected_page
                                                             : pages_for(snapshot.end_offset);
  snapshot.begin_offset.store(snapshot.offset, std::memory_order_relaxed);
  snapshot.revoked.store(false, std::memory_order_relaxed);
  snapshot.failure.store(0, std::memory_order_relaxed);
  snapshot.pages_preserved.store(0, std::memory_order_relaxed);
  snapshot.progress_ns.store(now.ns, std::memory_order_relaxed);
  snapshot.owner.store(0, std::memory_order_relaxed);
  snapshot.pages_kept = 0;
  snapshot.ahead_page.store(0, std::memory_order_relaxed);
  snapshot.wanted_page.store(no_page, std::memory_order_relaxed);
  snapshot.ahead_count = 0;
}

/// Of a snapshot of a past instant, for which pages may be in the history already.
void count_kept(CacheCore& core, CachedFile& file, SnapshotState& snapshot) {
  const PageChanger changer(core, file);
  const std::uint64_t end = std::min(snapshot.end_page, file.has_history.size());
  for (std::uint64_t page = file.has_history.next(snapshot.collected_page, end); page < end;
       page = file.has_history.next(page + 1, end))
    snapshot.pages_kept += changer.keeps_for(page, snapshot.epoch) ? 1U : 0U;
}

void register_snapshot(CachedFile& file, SnapshotState& snapshot) {
  snapshot.epoch = file.epoch++;
  file.live.push_back(&snapshot);
}

void take_audit_sums(const CacheCore& core, const CachedFile& file, SnapshotState& snapshot) {
  snapshot.audit_first_page = snapshot.collected_page;
  snapshot.audit_sums.reserve(snapshot.end_page - snapshot.collected_page);
  for (std::uint64_t page = snapshot.collected_page; page < snapshot.end_page; ++page) {
    const FrameIndex frame{file.table[PageIndex{static_cast<std::uint32_t>(page)}].current.load(
        std::memory_order_relaxed)};
    if (frame == no_frame) {  // nobody can write it before it is in memory
      snapshot.audit_sums.push_back(audit_unknown);
      continue;
    }
    snapshot.audit_sums.push_back(
        audit_sum(std::span<const std::byte, page_bytes>(core.arena().dma(frame), page_bytes)));
  }
}

/// The wrong way (Mutation::answer_during_protect): page by page, with the lock given away between.
int protect_with_gaps(CachedFile& file, std::uint64_t begin, std::uint64_t end) {
  int error = 0;
  for (std::uint64_t page = begin; page < end && error == 0; ++page) {
    file.lock.unlock();
    yield_point();
    file.lock.lock();
    error = protect_range(file, page, page + 1);
  }
  return error;
}

}  // namespace

Result<SnapshotState*> CacheCore::freeze(const std::shared_ptr<CachedFile>& file,
                                         std::uint64_t offset, std::uint64_t length_bytes) {
  return freeze_range(file, offset, length_bytes, nullptr);
}

Result<SnapshotState*> CacheCore::freeze_for_sync(const std::shared_ptr<CachedFile>& file,
                                                  std::vector<PageIndex>& dirty) {
  return freeze_range(file, 0, ~std::uint64_t{0}, &dirty);
}

Result<SnapshotState*> CacheCore::part(const SnapshotState& of, std::uint64_t offset,
                                       std::uint64_t length_bytes) {
  SnapshotState* snapshot = take_snapshot();
  if (snapshot == nullptr) {
    return fail("part of a snapshot", ENOBUFS, "too many snapshots are live; release some first");
  }
  snapshot->core = this;
  snapshot->file = of.file;
  snapshot->epoch = of.epoch;
  snapshot->attributes = of.attributes;
  set_range(*snapshot, of.end_offset, std::max(offset, of.offset), length_bytes, progress_now());
  bool revoked = false;
  {
    const std::scoped_lock lock(of.file->lock);
    // While `of` is among the live ones, everything is kept that the part needs: from here on for
    // the part's own sake too.
    revoked = of.revoked.load(std::memory_order_relaxed);
    if (!revoked) {
      if (!of.audit_sums.empty()) {
        snapshot->audit_first_page = snapshot->collected_page;
        const auto first =
            of.audit_sums.begin() +
            static_cast<std::ptrdiff_t>(snapshot->collected_page - of.audit_first_page);
        snapshot->audit_sums.assign(
            first,
            first + static_cast<std::ptrdiff_t>(snapshot->end_page - snapshot->collected_page));
      }
      std::vector<SnapshotState*>& live = of.file->live;
      live.insert(std::upper_bound(
                      live.begin(), live.end(), of.epoch,
                      [](std::uint64_t epoch, const SnapshotState* s) { return epoch < s->epoch; }),
                  snapshot);
      count_kept(*this, *of.file, *snapshot);
    }
  }
  if (!revoked) return snapshot;
  release(snapshot);
  return fail("part of a snapshot", ECANCELED, "the snapshot was given up for a writer");
}

/// Null when too many are live. Where only the guard has not collected the released ones yet, waits
/// for it, but not for long: a processor that is busy elsewhere is no reason to refuse a freeze.
SnapshotState* CacheCore::take_snapshot() {
  SnapshotState* snapshot = snapshots_.take();
  if (snapshot != nullptr) return snapshot;
  const Time deadline = monotonic_now() + guard_wait_limit;
  while (snapshot == nullptr && snapshots_.is_behind() && monotonic_now() < deadline) {
    guard_->hurry();
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    snapshot = snapshots_.take();
  }
  return snapshot;
}

Result<SnapshotState*> CacheCore::freeze_range(const std::shared_ptr<CachedFile>& file,
                                               std::uint64_t offset, std::uint64_t length_bytes,
                                               std::vector<PageIndex>* dirty) {
  if (is_shut_down()) return fail("freeze", ESHUTDOWN, "the engine is gone");
  SnapshotState* snapshot = take_snapshot();
  if (snapshot == nullptr) {
    return fail("freeze", ENOBUFS, "too many snapshots are live; release some first");
  }
  snapshot->core = this;
  snapshot->file = file;
  int error = 0;
  if (config_.protect) {
    const std::uint64_t first = offset >> page_shift;
    const std::uint64_t span = std::min(length_bytes, arena_.size_bytes());
    error = protect_beforehand(*file, first, first + pages_for(span) + 1);
  }
  {
    const std::scoped_lock lock(file->lock);
    // The instant: from here to the end of the block no fault of this file is answered, so no write
    // that the snapshot has depends on one that it has not.
    set_range(*snapshot, file->size_bytes.load(std::memory_order_relaxed), offset, length_bytes,
              progress_now());
    refresh_attributes(*file, config_.protect);
    snapshot->attributes = file->attributes;
    const std::uint64_t begin = snapshot->collected_page;
    const std::uint64_t end = snapshot->end_page;
    const bool late = mutation_active(Mutation::register_after_protect);
    if (!late) register_snapshot(*file, *snapshot);
    if (config_.protect && error == 0) {
      error = mutation_active(Mutation::answer_during_protect)
                  ? protect_with_gaps(*file, begin, end)
                  : protect_range(*file, begin, end);
    }
    if (late) {
      file->lock.unlock();
      yield_point();
      file->lock.lock();
      register_snapshot(*file, *snapshot);
    }
    if (error == 0 && audit_ != nullptr) take_audit_sums(*this, *file, *snapshot);
    if (error == 0 && dirty != nullptr) {
      for (std::uint64_t page = file->dirty.next(begin, end); page < end;
           page = file->dirty.next(page + 1, end))
        dirty->push_back(PageIndex{static_cast<std::uint32_t>(page)});
      file->dirty.clear_range(begin, end);
    }
  }
  guard_->wake_if_idle();
  if (error != 0) {
    // What was kept for it in the meantime is collected with it.
    release(snapshot);
    return fail("protecting the mapping", error,
                "the application changed the mapping's addresses (mremap, munmap, mmap over it); "
                "what cannot be protected is not sent");
  }
  return snapshot;
}

}  // namespace strictsend::pagecache
