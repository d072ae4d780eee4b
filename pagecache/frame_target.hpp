// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "pagecache/cache_core.hpp"
#include "pagecache/file_loader.hpp"
#include "pagecache/file_set.hpp"

namespace strictsend::pagecache {

/// Loads into fresh frames of the arena, through the DMA view; makes room for them among idle
/// files. Lives as long as one load, on its thread.
class FrameTarget final : public LoadTarget {
 public:
  FrameTarget(CacheCore& core, FileSet& files) : core_(core), files_(files) {}

  Result<std::span<const IoPiece>> provide(std::uint64_t size_bytes) override;
  void abandon(IoRing ring) override {
    files_.keep_until_drained(std::move(ring), std::move(file_));
  }
  [[nodiscard]] std::shared_ptr<CachedFile> take() { return std::move(file_); }

 private:
  Result<std::shared_ptr<CachedFile>> create_file(std::uint64_t size_bytes);

  CacheCore& core_;
  FileSet& files_;
  std::shared_ptr<CachedFile> file_;
  std::vector<IoPiece> pieces_;
};

}  // namespace strictsend::pagecache
