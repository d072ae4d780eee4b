// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/page.hpp"
#include "pagecache/page_cache.hpp"
#include "tests/support/temp_dir.hpp"

namespace strictsend::test {

/// A snapshot as an engine would hold it, released with the object.
class TakenSnapshot {
 public:
  TakenSnapshot(pagecache::PageCache& cache, pagecache::SnapshotState* state)
      : cache_(&cache), state_(state) {}
  TakenSnapshot(TakenSnapshot&& other) noexcept
      : cache_(other.cache_), state_(std::exchange(other.state_, nullptr)) {}
  TakenSnapshot& operator=(TakenSnapshot&& other) noexcept {
    std::swap(cache_, other.cache_);
    std::swap(state_, other.state_);
    return *this;
  }
  TakenSnapshot(const TakenSnapshot&) = delete;
  TakenSnapshot& operator=(const TakenSnapshot&) = delete;
  ~TakenSnapshot() {
    if (state_ != nullptr) cache_->release(state_);
  }

  [[nodiscard]] pagecache::SnapshotState& state() const { return *state_; }
  [[nodiscard]] const FileAttributes& attributes() const {
    return pagecache::snapshot_attributes(*state_);
  }

  /// The frame that holds a page of the file, pinned: what a descriptor would refer to.
  [[nodiscard]] FrameIndex pin(PageIndex page) const {
    FrameIndex frame;
    for (;;) {
      switch (cache_->resolve_and_pin(*state_, page, frame)) {
        case pagecache::PinOutcome::pinned:
          return frame;
        case pagecache::PinOutcome::absent:
          cache_->wake_loader();
          [[fallthrough]];
        case pagecache::PinOutcome::busy:
          std::this_thread::yield();
          break;
        case pagecache::PinOutcome::revoked:
          throw std::runtime_error("the snapshot was revoked");
      }
    }
  }

  /// What an engine would send of it.
  [[nodiscard]] std::vector<std::byte> bytes() const {
    std::vector<std::byte> result;
    std::uint64_t at = pagecache::snapshot_offset(*state_);
    const std::uint64_t end = at + pagecache::snapshot_length_bytes(*state_);
    result.reserve(end - at);
    while (at < end) {
      const PageIndex page{static_cast<std::uint32_t>(at >> page_shift)};
      const FrameIndex frame = pin(page);
      const std::byte* const memory = cache_->dma_view() + offset_of(frame).value;
      const std::uint64_t from = at & (page_bytes - 1);
      const std::uint64_t count = std::min(end - at, page_bytes - from);
      result.insert(result.end(), memory + from, memory + from + count);
      cache_->unpin(frame);
      at += count;
    }
    return result;
  }

 private:
  pagecache::PageCache* cache_;
  pagecache::SnapshotState* state_;
};

/// A page cache and a directory of files for it. Failures to set up throw.
class CacheOnDisk {
 public:
  explicit CacheOnDisk(const pagecache::CacheConfig& config, const std::string& parent = ".")
      : dir_(parent), cache_(value(pagecache::PageCache::create(config))) {}

  static pagecache::CacheConfig config_of(std::uint64_t cache_bytes,
                                          std::uint32_t spare_frames = 64) {
    pagecache::CacheConfig config;
    config.cache_bytes = cache_bytes;
    config.spare_frames = spare_frames;
    config.snapshots_max = 64;
    return config;
  }

  [[nodiscard]] pagecache::PageCache& cache() { return *cache_; }
  [[nodiscard]] std::string path(const std::string& name) const { return dir_.path(name); }

  std::shared_ptr<pagecache::CachedFile> open(const std::string& name, int flags = O_RDWR) {
    return value(cache_->open_file(path(name), flags));
  }
  TakenSnapshot freeze(std::shared_ptr<pagecache::CachedFile>& file, std::uint64_t offset = 0,
                       std::uint64_t length = ~std::uint64_t{0}) {
    return {*cache_, value(cache_->freeze(file, offset, length))};
  }
  static std::vector<std::byte> read(pagecache::CachedFile& file) {
    std::vector<std::byte> bytes(pagecache::file_size_bytes(file) + 1);
    bytes.resize(value(pagecache::file_read(file, bytes, 0)));
    return bytes;
  }
  /// Everything balances, however long the machine takes.
  [[nodiscard]] bool settles() { return cache_->settle(seconds(60)); }

  template <class T>
  static T value(Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message());
    return *std::move(result);
  }
  static void value(Result<void> result) {
    if (!result) throw std::runtime_error(result.error().message());
  }

 private:
  TempDir dir_;
  std::unique_ptr<pagecache::PageCache> cache_;
};

}  // namespace strictsend::test
