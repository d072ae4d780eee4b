// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"

namespace strictsend::pagecache {

class CachedFile;

/// Writes a version's changes back as one snapshot and waits for the disk; the frames are pinned
/// meanwhile, so writers go on in others. After an error everything counts as changed still.
///
/// Not seen is a foreign write during the sync itself: file systems tell only that somebody wrote.
/// Application threads, without locks.
Result<void> sync_to_disk(CachedFile& file);

}  // namespace strictsend::pagecache
