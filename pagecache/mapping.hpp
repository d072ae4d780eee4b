// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>

#include "base/page.hpp"
#include "base/result.hpp"
#include "pagecache/arena.hpp"

namespace strictsend::pagecache {

class CachedFile;
class Userfaultfd;

/// A file's one writable mapping: a reserved address range, the first `pages()` of which show the
/// file's current frames, watched by the guard.
///
/// Owned by its CachedFile and used under that file's lock; arena and userfaultfd outlive it. Pages
/// are never anonymous memory and never MISSING: between mmap and register a writer would populate
/// them, and the write would be lost.
class Mapping {
 public:
  /// Reserves addresses for `pages_max`. `uffd` null: pages are mapped without protection.
  static Result<std::unique_ptr<Mapping>> reserve(const Arena& arena, const Userfaultfd* uffd,
                                                  std::uint64_t pages_max);
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() = default;

  [[nodiscard]] std::byte* address() const { return range_.data(); }
  [[nodiscard]] std::byte* address(std::uint64_t page) const {
    return range_.data() + (page << page_shift);
  }
  [[nodiscard]] std::uint64_t pages() const { return pages_; }
  [[nodiscard]] std::uint64_t pages_max() const { return range_.size_bytes() >> page_shift; }

  /// Adds pages at the end; they show `count` frames from `first` and are installed protected.
  [[nodiscard]] int append(FrameIndex first, std::uint64_t count);
  /// Takes pages away at the end; touching them raises SIGSEGV.
  void cut(std::uint64_t pages);

  /// Moves one page to another frame that has the same bytes and that no snapshot reads (the window
  /// rule: for an instant the page is writable and unwatched). ENOMEM: nothing was changed.
  /// `touched`: it was written, or may have been, before it was watched again.
  [[nodiscard]] int move_page(std::uint64_t page, FrameIndex to, bool protect, bool& touched);
  /// The page's frame is about to be another's: from here on touching the page is a minor fault, at
  /// which `move_page` can show what it is then. An errno, and nothing changed, where that cannot
  /// be: where memory is locked (mlock), the application has put something else there, or the
  /// kernel's own accesses would fail.
  [[nodiscard]] int hide(std::uint64_t page) const;
  /// Its bytes cannot be had any more: touching it raises SIGBUS, as where a file's disk fails.
  void lose(std::uint64_t page) const;
  /// Answers a minor fault: the page has a frame but no page table entry.
  void install(std::uint64_t page, bool protect) const;

  [[nodiscard]] int protect(std::uint64_t page, std::uint64_t count) const;
  /// Lets writers write and wakes them. It can fail only where the application has remapped the
  /// range: then the next freeze fails to protect it, and says so.
  void unprotect(std::uint64_t page, std::uint64_t count) const;
  void wake(std::uint64_t page) const;

 private:
  Mapping(const Arena& arena, const Userfaultfd* uffd, MappedRange range)
      : arena_(arena), uffd_(uffd), range_(std::move(range)) {}

  const Arena& arena_;
  const Userfaultfd* uffd_;
  MappedRange range_;
  std::uint64_t pages_ = 0;
};

/// Which file is mapped where. Any thread but an engine's; one short mutex.
class MappingIndex {
 public:
  void add(const std::byte* begin, std::uint64_t bytes, std::weak_ptr<CachedFile> file);
  void remove(const std::byte* begin);
  /// The file whose mapping holds `address` and the page of it; null when there is none.
  [[nodiscard]] std::shared_ptr<CachedFile> find(const std::byte* address, PageIndex& page) const;
  /// Does [begin, begin + bytes) touch any mapping? Then no file lock may be held while it is
  /// accessed: the guard needs the lock to answer the fault.
  [[nodiscard]] bool overlaps(const std::byte* begin, std::uint64_t bytes) const;
  [[nodiscard]] std::vector<std::shared_ptr<CachedFile>> files() const;

 private:
  struct Entry {
    std::uint64_t bytes = 0;
    std::weak_ptr<CachedFile> file;
  };
  mutable std::mutex mutex_;
  std::map<const std::byte*, Entry, std::less<>> entries_;
};

}  // namespace strictsend::pagecache
