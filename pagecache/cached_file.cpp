// SPDX-License-Identifier: Apache-2.0
#include "pagecache/cached_file.hpp"

#include <utility>

#include "base/assert.hpp"
#include "pagecache/cache_core.hpp"

namespace strictsend::pagecache {

CachedFile::CachedFile(std::shared_ptr<CacheCore> owner, std::uint64_t size, Residency residency)
    : core(std::move(owner)),
      evictable(residency != Residency::fixed),
      paged(residency == Residency::on_demand),
      size_bytes(size) {}

CachedFile::~CachedFile() {
  // Nobody else knows the file any more: no snapshot, so no sender and no history but what a
  // shutdown left behind.
  if (mapping != nullptr) {
    core->mappings().remove(mapping->address());
    mapping.reset();
    core->counters().pages_scattered.fetch_sub(scattered.count());
  }
  FrameAllocator& allocator = core->allocator();
  CoreCounters& counters = core->counters();
  for (std::uint64_t page = 0; page < page_count || page < has_history.size(); ++page) {
    PageEntry& entry = table[PageIndex{static_cast<std::uint32_t>(page)}];
    FrameIndex node{entry.history.load(std::memory_order_relaxed)};
    while (node != no_frame) {
      const FrameIndex older{core->frames()[node].older.load(std::memory_order_relaxed)};
      counters.frames_history.fetch_sub(1, std::memory_order_relaxed);
      if (node.value == entry.home) {
        entry.home = 0;
        counters.pages_away.fetch_sub(1, std::memory_order_relaxed);
      }
      allocator.retire(node);
      node = older;
    }
    if (page >= page_count) continue;
    const FrameIndex current{entry.current.load(std::memory_order_relaxed)};
    if (current == no_frame) continue;
    if (entry.home != 0 && entry.home != current.value) {
      counters.pages_away.fetch_sub(1, std::memory_order_relaxed);
      allocator.retire(FrameIndex{entry.home});
    }
    allocator.retire(current);
  }
  counters.frames_cached.fetch_sub(resident_pages(), std::memory_order_relaxed);
}

std::vector<FrameRun> CachedFile::extents() const {
  std::vector<FrameRun> runs;
  for (std::uint64_t page = 0; page < page_count; ++page) {
    const FrameIndex frame{
        table[PageIndex{static_cast<std::uint32_t>(page)}].current.load(std::memory_order_relaxed)};
    if (!runs.empty() && runs.back().first.plus(runs.back().count) == frame) {
      ++runs.back().count;
    } else {
      runs.push_back({frame, 1});
    }
  }
  return runs;
}

void CachedFile::add_pages(std::span<const FrameRun> runs) {
  std::uint64_t count = page_count;
  for (const FrameRun& run : runs)
    count += run.count;
  core->counters().frames_cached.fetch_add(count - page_count, std::memory_order_relaxed);
  make_entries(count);
  if (evictable) resident.set_range(page_count, count);
  for (const FrameRun& run : runs) {
    for (std::uint32_t i = 0; i < run.count; ++i, ++page_count) {
      PageEntry& entry = table[PageIndex{static_cast<std::uint32_t>(page_count)}];
      const FrameIndex frame = run.first.plus(i);
      entry.home = frame.value;
      // A page that was truncated away may come again while old snapshots read its history.
      entry.seq.store(entry.seq.load(std::memory_order_relaxed) + 1, std::memory_order_seq_cst);
      entry.current.store(frame.value, std::memory_order_release);
      entry.seq.store(entry.seq.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }
  }
}

void CachedFile::add_absent_pages(std::uint64_t count) {
  STRICTSEND_ASSERT(paged);
  page_count += count;
  make_entries(page_count);
}

void CachedFile::make_entries(std::uint64_t count) {
  table.grow(count);
  for (SparseBits* bits : {&unprotected, &dirty, &has_history, &away, &hidden, &scattered})
    bits->resize(count);
  if (evictable) resident.resize(count);
}

}  // namespace strictsend::pagecache
