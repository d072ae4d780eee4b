// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "pagecache/cached_file.hpp"

namespace strictsend::pagecache {

/// How much it takes for a page to be evicted.
enum class Eviction : std::uint8_t {
  unused,    ///< it was not sent from since the last search, and no sender comes to it soon
  unwanted,  ///< no sender comes to it soon
  not_next,  ///< no sender comes to it next
  any,
};

/// Whose pages may be evicted.
enum class EvictFrom : std::uint8_t {
  paged_files,  ///< that are not kept whole
  all_files,    ///< that a disk stands behind
};

/// Frees frames among the pages of files: clean ones, that nothing refers to. A hand goes round
/// through the files and their pages, and takes what was not used since it last came by (the clock
/// algorithm), sparing what senders will come to soon.
///
/// Owned by CacheCore. Application threads and the loader; takes one file's lock at a time, for a
/// bounded number of pages.
class Evictor {
 public:
  void add(const std::shared_ptr<CachedFile>& file);
  /// Frees frames until there are so many, or nothing more of that kind is found. How many.
  std::uint64_t evict(std::uint64_t frames, Eviction kind, EvictFrom from);
  /// Some thread evicts, and so uses a file for a moment.
  [[nodiscard]] bool busy() const { return evicting_.load() != 0; }

 private:
  using Files = std::vector<std::weak_ptr<CachedFile>>;
  [[nodiscard]] Files files(EvictFrom from);

  std::mutex mutex_;
  Files paged_;
  Files loaded_;
  std::size_t turn_ = 0;  // with whom to begin
  std::atomic<int> evicting_{0};
};

}  // namespace strictsend::pagecache
