// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstring>
#include <errno.h>
#include <mutex>
#include <optional>

#include <fmt/format.h>

#include "pagecache/cache_core.hpp"
#include "pagecache/file_edit.hpp"
#include "pagecache/file_set.hpp"
#include "pagecache/page_cache.hpp"
#include "pagecache/page_in.hpp"

// read, write, append and truncate of the file API. Bytes pass through a bounce buffer of a page:
// the caller's memory may be a mapping, whose faults need the lock that an edit holds.

namespace strictsend::pagecache {
namespace {

using Bounce = std::array<std::byte, page_bytes>;

/// For pages that a file grows by; others may take what is freed.
constexpr Duration growth_limit = seconds(10);
constexpr std::uint64_t grow_step_pages = 256;  // zeroed at a time, with the file's lock held

PageIndex page_of(std::uint64_t offset) {
  return PageIndex{static_cast<std::uint32_t>(offset >> page_shift)};
}
std::uint64_t in_page(std::uint64_t offset) {
  return offset & (page_bytes - 1);
}

tl::unexpected<Error> no_spare_frame(const char* operation) {
  return fail(operation, ENOBUFS,
              "no spare frame became free for the old bytes that a send still needs; choose more "
              "spare frames or a larger cache");
}

tl::unexpected<Error> still_sent() {
  return fail("truncate", EBUSY,
              "a send still needs what would be cut off, and not all of that is in memory; try "
              "again when it is over, or replace the file by rename");
}

Result<void> fits_the_cache(const CachedFile& file, const char* operation,
                            std::uint64_t size_bytes) {
  if (file.paged && pages_for(size_bytes) <= UINT32_MAX) return {};
  const std::uint64_t most = file.core->allocator().file_frames() << page_shift;
  if (size_bytes <= most) return {};
  return fail(operation, ENOBUFS,
              fmt::format("{} bytes do not fit: the cache takes {} bytes of files; choose a larger "
                          "one with --cache",
                          size_bytes, most));
}

tl::unexpected<Error> engine_is_gone(const char* operation) {
  return fail(operation, ESHUTDOWN, "its engine is gone, and not all of the file was in memory");
}

/// Pages that an access to one that is not in memory brings along.
constexpr std::uint64_t access_pages = 16;

/// Begins an edit in which that page, if it is of the file, is in memory.
Result<void> begin_edit(CachedFile& file, PageIndex page, std::optional<FileEdit>& edit) {
  for (;;) {
    edit.emplace(file);
    if (page.value >= edit->pages() || edit->in_memory(page)) return {};
    edit.reset();
    const std::shared_ptr<FileSet> files = disk_origin(file).files.lock();
    if (files == nullptr) return engine_is_gone("read");
    if (auto in = page_in(*files, file, page.value, page.value + access_pages, DiskWait::wait); !in)
      return tl::unexpected(in.error());
  }
}

/// Takes back pages that were added for a size that is not to be.
void drop_added_pages(CachedFile& file) {
  FileEdit edit(file);
  edit.shrink(pages_for(edit.size_bytes()));
}

/// Adds pages of zeros until there are `pages`, a step at a time; the size does not change yet.
/// Without an edit, under `writers`: room may have to be made on the disk.
Result<void> add_pages(CachedFile& file, const char* operation, std::uint64_t pages) {
  Time deadline = monotonic_now() + growth_limit;
  for (;;) {
    Result<void> grown;
    {
      FileEdit edit(file);
      const std::uint64_t before = edit.pages();
      if (before >= pages) return {};
      const std::uint64_t after = std::min(pages, before + grow_step_pages);
      grown = edit.grow(after);
      // The disk may hold other bytes there, of before a truncation.
      if (grown) file.dirty.set_range(before, after);
    }
    if (grown) {
      deadline = monotonic_now() + growth_limit;
      continue;
    }
    const std::shared_ptr<FileSet> files = disk_origin(file).files.lock();
    if (files != nullptr && monotonic_now() < deadline && files->make_room(grow_step_pages))
      continue;
    drop_added_pages(file);
    return fail(operation, ENOBUFS,
                "the cache is full of files that are open, being sent or cannot be written back; "
                "close some, or choose a larger one with --cache");
  }
}

/// A mapped writer may have left bytes behind the end in the last page; they become part of the
/// file as zeros. False: no spare frame.
bool clear_behind_end(FileEdit& edit) {
  const std::uint64_t size = edit.size_bytes();
  if (in_page(size) == 0) return true;
  const std::byte* const old = edit.readable(page_of(size));
  if (std::all_of(old + in_page(size), old + page_bytes,
                  [](std::byte byte) { return byte == std::byte{0}; }))
    return true;
  std::byte* const page = edit.writable(page_of(size));
  if (page == nullptr) return false;
  std::fill(page + in_page(size), page + page_bytes, std::byte{0});
  return true;
}

/// Makes the file longer, at one instant. Under `writers`.
Result<void> extend(CachedFile& file, const char* operation, std::uint64_t size_bytes) {
  if (auto fits = fits_the_cache(file, operation, size_bytes); !fits) return fits;
  if (auto added = add_pages(file, operation, pages_for(size_bytes)); !added) return added;
  std::optional<FileEdit> edit;
  if (auto begun = begin_edit(file, page_of(file_size_bytes(file)), edit); !begun) {
    drop_added_pages(file);
    return begun;
  }
  if (!clear_behind_end(*edit)) {
    edit->shrink(pages_for(edit->size_bytes()));
    return no_spare_frame(operation);
  }
  edit->set_size_bytes(size_bytes);
  return {};
}

/// Writes within one page, at one instant, growing the file over the page's end if need be. Under
/// `writers`; `offset` is not behind the end of the file.
Result<void> write_in_page(CachedFile& file, const char* operation,
                           std::span<const std::byte> bytes, std::uint64_t offset) {
  const std::uint64_t end = offset + bytes.size();
  if (auto fits = fits_the_cache(file, operation, end); !fits) return fits;
  if (auto added = add_pages(file, operation, pages_for(end)); !added) return added;
  std::optional<FileEdit> edit;
  if (auto begun = begin_edit(file, page_of(offset), edit); !begun) {
    drop_added_pages(file);
    return begun;
  }
  std::byte* const page = edit->writable(page_of(offset));
  if (page == nullptr) {
    edit->shrink(pages_for(edit->size_bytes()));
    return no_spare_frame(operation);
  }
  std::memcpy(page + in_page(offset), bytes.data(), bytes.size());
  if (end > edit->size_bytes()) edit->set_size_bytes(end);
  return {};
}

Result<std::size_t> write_locked(CachedFile& file, const char* operation,
                                 std::span<const std::byte> from, std::uint64_t offset) {
  if (offset > file_size_bytes(file))
    if (auto extended = extend(file, operation, offset); !extended)
      return tl::unexpected(extended.error());
  Bounce bounce;
  std::size_t done = 0;
  while (done < from.size()) {
    const std::size_t bytes =
        std::min<std::size_t>(from.size() - done, page_bytes - in_page(offset + done));
    std::memcpy(bounce.data(), from.data() + done, bytes);  // may fault: no lock of the file here
    auto written = write_in_page(file, operation, std::span(bounce).first(bytes), offset + done);
    if (!written) {
      if (done != 0) break;
      return tl::unexpected(written.error());
    }
    done += bytes;
  }
  return done;
}

/// Cuts the file, at one instant. Under `writers`.
Result<void> cut(CachedFile& file, std::uint64_t size_bytes) {
  std::optional<FileEdit> edit;
  if (auto begun = begin_edit(file, page_of(size_bytes), edit); !begun) return begun;
  if (!edit->can_shrink(pages_for(size_bytes))) return still_sent();
  if (in_page(size_bytes) != 0) {
    // The end of the last page becomes zeros in place, so snapshots get their copy first.
    std::byte* const page = edit->writable(page_of(size_bytes));
    if (page == nullptr) return no_spare_frame("truncate");
    // It may have waited for a frame, and others may have begun to send meanwhile. Nothing is
    // cleared yet.
    if (!edit->can_shrink(pages_for(size_bytes))) return still_sent();
    std::fill(page + in_page(size_bytes), page + page_bytes, std::byte{0});
  }
  edit->shrink(pages_for(size_bytes));
  edit->set_size_bytes(size_bytes);
  return {};
}

bool overflows(std::uint64_t offset, std::size_t bytes) {
  return offset + bytes < offset;
}

std::uint64_t first_absent(CachedFile& file) {
  const std::scoped_lock lock(file.lock);
  const std::uint64_t page = file.resident.next_clear(0, file.page_count);
  return page < file.page_count ? page : no_page;
}

}  // namespace

Result<std::span<std::byte>> file_map(const std::shared_ptr<CachedFile>& file) {
  if (!file->evictable || file->paged) return file->core->map(file);
  const KeptResident kept(*file);
  for (std::uint64_t page = first_absent(*file); page != no_page; page = first_absent(*file)) {
    const std::shared_ptr<FileSet> files = disk_origin(*file).files.lock();
    if (files == nullptr) return engine_is_gone("mapping a file");
    if (auto in = page_in(*files, *file, page, page + access_pages, DiskWait::wait); !in)
      return tl::unexpected(in.error());
  }
  return file->core->map(file);
}

Result<std::size_t> file_read(CachedFile& file, std::span<std::byte> into, std::uint64_t offset) {
  Bounce bounce;
  std::size_t done = 0;
  while (done < into.size() && !overflows(offset, done)) {
    const std::uint64_t at = offset + done;
    std::size_t bytes = std::min<std::size_t>(into.size() - done, page_bytes - in_page(at));
    {
      std::optional<FileEdit> edit;
      if (auto begun = begin_edit(file, page_of(at), edit); !begun) {
        if (done != 0) break;
        return tl::unexpected(begun.error());
      }
      if (at >= edit->size_bytes()) break;
      bytes = std::min<std::uint64_t>(bytes, edit->size_bytes() - at);
      std::memcpy(bounce.data(), edit->readable(page_of(at)) + in_page(at), bytes);
    }
    std::memcpy(into.data() + done, bounce.data(), bytes);
    done += bytes;
  }
  return done;
}

Result<std::size_t> file_write(CachedFile& file, std::span<const std::byte> from,
                               std::uint64_t offset) {
  if (from.empty()) return std::size_t{0};
  if (overflows(offset, from.size()))
    return fail("write", EFBIG, "the offset lies beyond any file");
  const std::scoped_lock writers(disk_origin(file).writers);
  return write_locked(file, "write", from, offset);
}

Result<std::uint64_t> file_append(CachedFile& file, std::span<const std::byte> from) {
  const std::scoped_lock writers(disk_origin(file).writers);
  const std::uint64_t offset = file_size_bytes(file);
  auto written = write_locked(file, "append", from, offset);
  if (!written) return tl::unexpected(written.error());
  if (*written < from.size()) {
    // All or nothing: half a record at the end helps nobody.
    if (auto undone = cut(file, offset); !undone) return tl::unexpected(undone.error());
    return fail("append", ENOBUFS, "the cache is full; choose a larger one with --cache");
  }
  return offset;
}

Result<void> file_truncate(CachedFile& file, std::uint64_t size_bytes) {
  const std::scoped_lock writers(disk_origin(file).writers);
  const std::uint64_t size = file_size_bytes(file);
  if (size_bytes == size) return {};
  return size_bytes < size ? cut(file, size_bytes) : extend(file, "truncate", size_bytes);
}

}  // namespace strictsend::pagecache
