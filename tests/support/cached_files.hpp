// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <gtest/gtest.h>

#include "base/page.hpp"
#include "pagecache/cache_core.hpp"
#include "pagecache/file_edit.hpp"

namespace strictsend::pagecache {

/// What tests of the core do instead of loading from a disk, and how they read snapshots.
inline std::shared_ptr<CacheCore> make_core(std::uint64_t file_pages, std::uint32_t spares,
                                            CacheConfig config = {}, CacheTuning tuning = {}) {
  config.cache_bytes = (file_pages + spares) * page_bytes;
  config.spare_frames = spares;
  if (config.snapshots_max == 0) config.snapshots_max = 64;
  auto core = CacheCore::create(config, tuning);
  EXPECT_TRUE(core.has_value()) << core.error().message();
  return core ? *core : nullptr;
}

/// A file of `pages` pages, each filled with one byte.
inline std::shared_ptr<CachedFile> make_file(CacheCore& core, std::uint64_t pages,
                                             std::byte fill = std::byte{0}) {
  auto file = core.create_file(pages * page_bytes);
  EXPECT_TRUE(file.has_value()) << file.error().message();
  if (!file) return nullptr;
  for (const FrameRun& run : (*file)->extents())
    std::fill_n(core.arena().dma(run.first), std::uint64_t{run.count} * page_bytes, fill);
  return *file;
}

/// Pins a page of a snapshot, however often the guard is busy with it.
inline FrameIndex pin(const CacheCore& core, const SnapshotState& snapshot, std::uint32_t page) {
  FrameIndex frame;
  PinOutcome outcome = PinOutcome::busy;
  while (outcome == PinOutcome::busy)
    outcome = core.resolve_and_pin(snapshot, PageIndex{page}, frame);
  EXPECT_EQ(outcome, PinOutcome::pinned);
  return frame;
}

/// The first byte of a page as the snapshot has it.
inline std::byte first_byte(const CacheCore& core, const SnapshotState& snapshot,
                            std::uint32_t page) {
  const FrameIndex frame = pin(core, snapshot, page);
  const std::byte byte = *core.arena().dma(frame);
  core.unpin(frame);
  return byte;
}

inline void api_write(CachedFile& file, std::uint32_t page, std::byte value) {
  FileEdit edit(file);
  std::byte* bytes = edit.writable(PageIndex{page});
  ASSERT_NE(bytes, nullptr);
  std::fill_n(bytes, page_bytes, value);
}

}  // namespace strictsend::pagecache
