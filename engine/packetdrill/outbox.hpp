// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "pagecache/page_cache.hpp"

namespace strictsend::packetdrill {

/// What scripts write, as a file of the page cache: each write takes the next pages of it and is
/// frozen there, so that it goes out as the engine's payload always does. Written in a circle,
/// which is safe however much is still unacknowledged: snapshots keep their bytes.
///
/// Owned by VirtualStack, used by one thread at a time; `put` may wait for a spare frame.
class Outbox {
 public:
  static constexpr std::uint64_t size_bytes = std::uint64_t{16} << 20;
  /// Of one `put`: pages enough must be left for what snapshots keep.
  static constexpr std::size_t put_bytes_max = std::size_t{1} << 20;

  static Result<Outbox> create(pagecache::PageCache& cache);

  /// The snapshot of these bytes, at most `put_bytes_max`; the caller releases it.
  Result<pagecache::SnapshotState*> put(std::span<const std::byte> bytes);

 private:
  Outbox(pagecache::PageCache& cache, UniqueFd backing,
         std::shared_ptr<pagecache::CachedFile> file);

  pagecache::PageCache* cache_;
  UniqueFd backing_;
  std::shared_ptr<pagecache::CachedFile> file_;
  std::uint64_t next_ = 0;
};

}  // namespace strictsend::packetdrill
