// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/inet_checksum.hpp"
#include "base/page.hpp"

namespace strictsend::pagecache {

/// Internet checksums of frames as prefix sums, one every 128 bytes: the sum of any piece is a
/// subtraction and two edges, so a hot frame is sent without its bytes being read again. 64 bytes a
/// frame, apart from the frame's metadata.
///
/// `sum` is called by whoever holds a valid pin on the frame: its bytes do not change, and all
/// callers at once would compute the same. `invalidate` is called by whoever is about to write the
/// frame, which nobody does while it is pinned: the pin (release at unpin, acquire by the writer)
/// orders the two.
class ChecksumMemo {
 public:
  explicit ChecksumMemo(std::uint64_t frames);

  [[nodiscard]] PartialSum sum(FrameIndex frame, std::span<const std::byte, page_bytes> bytes,
                               std::uint32_t offset, std::uint32_t length);
  void invalidate(FrameIndex frame) { valid_[frame.value].store(false, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t bytes() const { return frames_ * (sizeof(Prefixes) + 1); }

 private:
  static constexpr std::uint32_t stride_bytes = 128;
  static constexpr std::size_t stride_count = page_bytes / stride_bytes;
  /// [k] is the folded sum of the first (k + 1) strides.
  using Prefixes = std::array<std::atomic<std::uint16_t>, stride_count>;

  void fill(FrameIndex frame, std::span<const std::byte, page_bytes> bytes);

  std::uint64_t frames_;
  std::unique_ptr<Prefixes[]> prefixes_;
  /// Set (release) by the sender that filled the prefixes, read acquire by the others.
  std::unique_ptr<std::atomic<bool>[]> valid_;
};

}  // namespace strictsend::pagecache
