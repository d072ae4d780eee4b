// SPDX-License-Identifier: Apache-2.0
#include "pagecache/file_edit.hpp"

#include <cerrno>
#include <cstring>
#include <optional>

#include "base/assert.hpp"
#include "pagecache/cache_core.hpp"
#include "pagecache/guard.hpp"
#include "pagecache/page_changer.hpp"

namespace strictsend::pagecache {
namespace {
/// In each writer_wait_limit the guard gives up one snapshot; after so many, none will help.
constexpr std::int64_t wait_limits_max = 10;
}  // namespace

FileEdit::FileEdit(CachedFile& file) : file_(file) {
  file_.lock.lock();
}

FileEdit::~FileEdit() {
  file_.lock.unlock();
}

std::uint64_t FileEdit::size_bytes() const {
  return file_.size_bytes.load(std::memory_order_relaxed);
}

std::uint64_t FileEdit::pages() const {
  return file_.page_count;
}

bool FileEdit::in_memory(PageIndex page) const {
  return PageChanger(*file_.core, file_).is_in_memory(page.value);
}

bool FileEdit::can_shrink(std::uint64_t pages) const {
  if (!file_.evictable || file_.live.empty()) return true;
  const PageChanger changer(*file_.core, file_);
  const std::uint64_t end = file_.page_count;
  for (std::uint64_t page = file_.resident.next_clear(pages, end); page < end;
       page = file_.resident.next_clear(page + 1, end))
    if (changer.needed(page)) return false;
  return true;
}

const std::byte* FileEdit::readable(PageIndex page) const {
  STRICTSEND_ASSERT(page.value < file_.page_count);
  return file_.core->arena().dma(
      FrameIndex{file_.table[page].current.load(std::memory_order_relaxed)});
}

std::byte* FileEdit::writable(PageIndex page) {
  CacheCore& core = *file_.core;
  std::optional<SpareWaiters::Waiting> waiting;
  Time deadline;
  // It may come home while this waits, and be evicted from there.
  while (page.value < file_.page_count && in_memory(page)) {
    if (make_writable(page)) {
      const FrameIndex frame{file_.table[page].current.load(std::memory_order_relaxed)};
      core.memo().invalidate(frame);
      return core.arena().dma(frame);
    }
    const FrameIndex kept{file_.table[page].current.load(std::memory_order_relaxed)};
    if (!waiting) {
      waiting.emplace(core.spare_waiters());
      deadline = monotonic_now() + core.config().writer_wait_limit * wait_limits_max;
      core.counters().writer_waits.fetch_add(1, std::memory_order_relaxed);
      if (core.keeps_all_it_may())
        core.guard().hurry();
      else
        core.guard().wake_if_idle();
    }
    core.pin_blindly(kept);  // so that it stays in memory
    file_.lock.unlock();
    const bool in_time = waiting->sleep_until(deadline);
    file_.lock.lock();
    core.unpin(kept);
    if (!in_time) return nullptr;
  }
  return nullptr;
}

bool FileEdit::make_writable(PageIndex page) {
  CacheCore& core = *file_.core;
  if (core.config().protect) {
    return PageChanger(core, file_).make_writable(page.value, PageChanger::Writer::api);
  }
  file_.dirty.set(page.value);
  file_.written = true;
  return true;
}

Result<void> FileEdit::grow(std::uint64_t pages) {
  STRICTSEND_ASSERT(pages >= file_.page_count);
  CacheCore& core = *file_.core;
  std::vector<FrameRun> runs;
  if (!core.allocator().allocate(pages - file_.page_count, runs)) {
    return fail("growing a file in the cache", ENOSPC,
                "the cache is full; close files that are not in use, or choose a larger cache");
  }
  for (const FrameRun& run : runs)
    std::memset(core.arena().dma(run.first), 0, std::size_t{run.count} << page_shift);
  file_.add_pages(runs);
  return {};
}

void FileEdit::shrink(std::uint64_t pages) {
  if (pages >= file_.page_count) return;
  // First out of the mapping, so that nobody writes a frame that is given back.
  if (file_.mapping != nullptr) file_.mapping->cut(pages);
  PageChanger changer(*file_.core, file_);
  for (std::uint64_t page = pages; page < file_.page_count; ++page)
    changer.drop(page);
  file_.page_count = pages;
  file_.written = true;
}

void FileEdit::set_size_bytes(std::uint64_t size_bytes) {
  STRICTSEND_ASSERT(pages_for(size_bytes) == file_.page_count);
  file_.size_bytes.store(size_bytes, std::memory_order_relaxed);
  file_.written = true;
}

}  // namespace strictsend::pagecache
