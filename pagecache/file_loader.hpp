// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "pagecache/backing_file.hpp"
#include "pagecache/io_ring.hpp"

namespace strictsend::pagecache {

/// Where a load puts a file: fresh frames, asked for when the size is known.
class LoadTarget {
 public:
  LoadTarget() = default;
  LoadTarget(const LoadTarget&) = delete;
  LoadTarget& operator=(const LoadTarget&) = delete;
  virtual ~LoadTarget() = default;

  /// Memory for the whole file, in file order, whole pages, page-aligned. What an earlier call gave
  /// out is returned by calling again, but for what was abandoned.
  virtual Result<std::span<const IoPiece>> provide(std::uint64_t size_bytes) = 0;
  /// Reads of the memory provided last are still in flight in `ring`: keep it until they are
  /// drained.
  virtual void abandon(IoRing ring) = 0;
};

struct LoadOptions {
  bool direct = true;
  Duration direct_stall_limit = seconds(2);
  std::uint32_t tries_max = 5;
};

struct LoadResult {
  FileIdentity identity;  ///< of exactly the bytes that were loaded
  std::string mode;       ///< for people: direct or buffered, and why
};

/// Zeros what a read of a file of that size leaves as it was: the rest of its last page, and
/// whatever lies behind.
void zero_after_end(std::span<const IoPiece> pieces, std::uint64_t size_bytes);

/// Loads a whole file, as it was at one time: identity before and after are the same, or it loads
/// again, and after `tries_max` gives up with EAGAIN. Application threads; waits for the disk.
///
/// Not seen are stores that another process makes through a shared mapping of its own: the kernel
/// changes ctime only when such a page is first dirtied.
Result<LoadResult> load_file(BackingFile& file, LoadTarget& target, const LoadOptions& options);

}  // namespace strictsend::pagecache
