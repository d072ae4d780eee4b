// SPDX-License-Identifier: Apache-2.0
#include "pagecache/evictor.hpp"

#include <algorithm>

#include "pagecache/cache_core.hpp"
#include "pagecache/page_changer.hpp"

namespace strictsend::pagecache {
namespace {

constexpr std::uint64_t pages_per_lock = 64;
/// More than a segment of 64 KiB touches.
constexpr std::uint64_t next_pages = 32;
/// Of a file that was loaded as a whole, for which nothing is read ahead.
constexpr std::uint64_t soon_pages = 256;

/// Whether some sender reads the page now or soon: of a paged file, what lies between what is
/// acknowledged and what was asked to be read ahead.
bool is_wanted_soon(const CachedFile& file, std::uint64_t page) {
  return std::any_of(file.live.begin(), file.live.end(), [&](const SnapshotState* snapshot) {
    const std::uint64_t begin =
        snapshot->begin_offset.load(std::memory_order_relaxed) >> page_shift;
    const std::uint64_t end = file.paged ? snapshot->ahead_page.load(std::memory_order_relaxed)
                                         : std::min(begin + soon_pages, snapshot->end_page);
    return page >= begin && page < end;
  });
}

/// Whether some sender may be waiting for it: the pages of one segment, of which it has asked for
/// the one that it came to. What is brought in for one sender is not taken for another before it
/// was sent, or neither would get on.
bool is_next(const CachedFile& file, std::uint64_t page) {
  return std::any_of(file.live.begin(), file.live.end(), [page](const SnapshotState* snapshot) {
    const std::uint64_t wanted = snapshot->wanted_page.load(std::memory_order_relaxed);
    return page + next_pages > wanted && page < wanted + next_pages;
  });
}

bool may_go(const CachedFile& file, std::uint64_t page, Eviction kind) {
  switch (kind) {
    case Eviction::unused:
    case Eviction::unwanted:
      return !is_wanted_soon(file, page) && !is_next(file, page);
    case Eviction::not_next:
      return !is_next(file, page);
    case Eviction::any:
      break;
  }
  return true;
}

std::uint64_t resident_pages(CachedFile& file) {
  const std::scoped_lock lock(file.lock);
  return file.resident_pages();
}

/// Looks at some pages from the hand on; how many frames that has freed.
std::uint64_t evict_some(CachedFile& file, std::uint64_t frames, Eviction kind) {
  const std::scoped_lock lock(file.lock);
  PageChanger changer(*file.core, file);
  std::uint64_t freed = 0;
  for (std::uint64_t i = 0; i < pages_per_lock && freed < frames; ++i) {
    if (file.resident_pages() == 0) break;
    std::uint64_t page = file.resident.next(file.evict_hand, file.page_count);
    if (page >= file.page_count) page = file.resident.next(0, file.page_count);
    file.evict_hand = page + 1;
    const FrameIndex frame{file.table[PageIndex{static_cast<std::uint32_t>(page)}].current.load(
        std::memory_order_relaxed)};
    std::atomic<bool>& used = file.core->frames()[frame].used;
    if (kind == Eviction::unused && used.load(std::memory_order_relaxed)) {
      used.store(false, std::memory_order_relaxed);
      continue;
    }
    if (changer.may_leave(page) && may_go(file, page, kind) && changer.evict(page)) ++freed;
  }
  file.core->counters().pages_evicted.fetch_add(freed, std::memory_order_relaxed);
  return freed;
}

}  // namespace

void Evictor::add(const std::shared_ptr<CachedFile>& file) {
  const std::scoped_lock lock(mutex_);
  Files& files = file->paged ? paged_ : loaded_;
  if (files.size() == files.capacity())
    std::erase_if(files, [](const std::weak_ptr<CachedFile>& other) { return other.expired(); });
  files.push_back(file);
}

Evictor::Files Evictor::files(EvictFrom from) {
  const std::scoped_lock lock(mutex_);
  Files files = paged_;
  if (from == EvictFrom::all_files) files.insert(files.end(), loaded_.begin(), loaded_.end());
  if (!files.empty())
    std::rotate(files.begin(), files.begin() + static_cast<std::ptrdiff_t>(++turn_ % files.size()),
                files.end());
  return files;
}

std::uint64_t Evictor::evict(std::uint64_t frames, Eviction kind, EvictFrom from) {
  ++evicting_;
  std::uint64_t freed = 0;
  for (const std::weak_ptr<CachedFile>& each : files(from)) {
    if (freed >= frames) break;
    const std::shared_ptr<CachedFile> file = each.lock();
    if (file == nullptr) continue;
    const std::uint64_t looks = resident_pages(*file) / pages_per_lock + 1;  // once round
    for (std::uint64_t i = 0; i < looks && freed < frames; ++i)
      freed += evict_some(*file, frames - freed, kind);
  }
  --evicting_;
  return freed;
}

}  // namespace strictsend::pagecache
