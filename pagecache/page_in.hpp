// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "pagecache/cached_file.hpp"
#include "pagecache/file_set.hpp"

namespace strictsend::pagecache {

/// Whether to wait for who holds the file's disk side (another load, a write-back).
enum class DiskWait : std::uint8_t { wait, come_back };

enum class PageIn : std::uint8_t {
  done,       ///< the first page is in memory, or was for a moment
  disk_busy,  ///< with come_back: somebody else has the disk side
};

/// Brings pages [begin, end) of a file into memory, as far as they are not there. For the
/// first that is missing room is made at whatever cost; for the others, which are read ahead,
/// without taking from others what they use soon: so there may be fewer. The bytes are of the
/// version that the file stands for: its identity on disk is looked at before and after. Errors:
/// ENOBUFS, no room; ESTALE, another process has changed the file, which from then on can never be
/// had (`CachedFile::load_error`); the disk's.
///
/// Application threads and the loader; waits for the disk. Without any lock of the file.
Result<PageIn> page_in(FileSet& files, CachedFile& file, std::uint64_t begin, std::uint64_t end,
                       DiskWait wait);

}  // namespace strictsend::pagecache
