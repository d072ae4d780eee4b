// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/page.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace strictsend::pagecache {

/// Owns one address range and unmaps it.
class MappedRange {
 public:
  MappedRange() = default;
  MappedRange(std::byte* address, std::uint64_t bytes) : address_(address), bytes_(bytes) {}
  MappedRange(MappedRange&& other) noexcept;
  MappedRange& operator=(MappedRange&& other) noexcept;
  MappedRange(const MappedRange&) = delete;
  MappedRange& operator=(const MappedRange&) = delete;
  ~MappedRange();

  [[nodiscard]] std::byte* data() const { return address_; }
  [[nodiscard]] std::uint64_t size_bytes() const { return bytes_; }

 private:
  std::byte* address_ = nullptr;
  std::uint64_t bytes_ = 0;
};

/// All memory that a NIC may ever see: one sealed memfd, in frames of 4 KiB.
///
///     frame   0        1 … port        … cache frames for files …      … spare reserve …
///             reserved  header and        (FrameAllocator)               (FrameAllocator)
///                       receive buffers
///
/// Two views, both not inherited by a forked child:
///  - the DMA view: the only one through which a NIC, the engine, the guard and the loader read or
///    write, backed by huge pages where the system allows;
///  - the pool view: never touched; mappings of files are duplicated from it (`mremap` with old
///    size 0), because the seal refuses any new writable mmap.
///
/// Owned by CacheCore, constant after creation, outlives every file, mapping and port.
class Arena {
 public:
  /// Takes all its memory at once, so that it cannot be missing later.
  static Result<Arena> create(std::uint64_t frames);

  [[nodiscard]] std::uint64_t frames() const { return frames_; }
  [[nodiscard]] std::uint64_t size_bytes() const { return frames_ << page_shift; }
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] bool huge_pages_advised() const { return huge_pages_advised_; }
  [[nodiscard]] std::byte* dma_view() const { return dma_view_.data(); }
  [[nodiscard]] std::byte* dma(FrameIndex frame) const {
    return dma_view_.data() + offset_of(frame).value;
  }

  /// Maps `count` frames from `first` at `address`, over whatever stands there: readable, writable,
  /// not yet watched. Returns 0 or the errno; on ENOMEM `address` is untouched.
  [[nodiscard]] int map_frames(std::byte* address, FrameIndex first, std::uint64_t count) const;

 private:
  Arena() = default;

  UniqueFd fd_;
  std::uint64_t frames_ = 0;
  bool huge_pages_advised_ = false;
  MappedRange dma_view_;
  MappedRange pool_view_;
};

}  // namespace strictsend::pagecache
