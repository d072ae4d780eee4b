// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/page.hpp"
#include "base/result.hpp"
#include "pagecache/cached_file.hpp"

namespace strictsend::pagecache {

/// Changes a file from the side of the file API: holds the file's lock while it lives, and obeys
/// the same rules as a faulting writer without a fault.
///
/// What is done between construction and destruction is one instant for freezes and for mapped
/// writers of protected pages, unless `writable` had to wait. Never on an engine thread. While it
/// lives, touch only private memory and the pages it hands out: a source or destination in a
/// mapping (MappingIndex::overlaps) is copied through a bounce buffer beforehand or afterwards.
class FileEdit {
 public:
  explicit FileEdit(CachedFile& file);
  FileEdit(const FileEdit&) = delete;
  FileEdit& operator=(const FileEdit&) = delete;
  ~FileEdit();

  [[nodiscard]] std::uint64_t size_bytes() const;
  [[nodiscard]] std::uint64_t pages() const;

  /// Whether the page is there now, rather than on the disk alone. What follows is for such pages.
  [[nodiscard]] bool in_memory(PageIndex page) const;
  /// The page's bytes now; valid until anything else is called.
  [[nodiscard]] const std::byte* readable(PageIndex page) const;

  /// The page's bytes, to be written before anything else is called: old bytes that a snapshot or a
  /// descriptor needs were kept elsewhere first, and the page counts as written. When there is no
  /// frame to keep them in, gives the lock away, waits (bounded by writer_wait_limit and the
  /// victim's reset) and takes it again. Null: the page was truncated away meanwhile, or no frame
  /// became free.
  [[nodiscard]] std::byte* writable(PageIndex page);

  /// Adds pages of zeros, protected, at the end; ENOSPC when the cache is full. Does not change the
  /// size.
  Result<void> grow(std::uint64_t pages);
  /// Whether snapshots would lose none: they may need pages that are on disk only.
  [[nodiscard]] bool can_shrink(std::uint64_t pages) const;
  /// Takes pages away at the end; snapshots keep theirs. Does not change the size.
  void shrink(std::uint64_t pages);
  /// pages_for(size) must be the present number of pages. Counts as a write.
  void set_size_bytes(std::uint64_t size_bytes);

 private:
  [[nodiscard]] bool make_writable(PageIndex page);

  CachedFile& file_;
};

}  // namespace strictsend::pagecache
