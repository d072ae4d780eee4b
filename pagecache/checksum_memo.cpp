// SPDX-License-Identifier: Apache-2.0
#include "pagecache/checksum_memo.hpp"

#include "base/assert.hpp"

namespace strictsend::pagecache {

ChecksumMemo::ChecksumMemo(std::uint64_t frames)
    : frames_(frames),
      prefixes_(std::make_unique<Prefixes[]>(frames)),
      valid_(std::make_unique<std::atomic<bool>[]>(frames)) {}

void ChecksumMemo::fill(FrameIndex frame, std::span<const std::byte, page_bytes> bytes) {
  PartialSum sum = 0;
  for (std::size_t k = 0; k < stride_count; ++k) {
    sum += inet_sum(bytes.subspan(k * stride_bytes, stride_bytes));
    prefixes_[frame.value][k].store(fold_sum(sum), std::memory_order_relaxed);
  }
  valid_[frame.value].store(true, std::memory_order_release);
}

PartialSum ChecksumMemo::sum(FrameIndex frame, std::span<const std::byte, page_bytes> bytes,
                             std::uint32_t offset, std::uint32_t length) {
  STRICTSEND_ASSERT(offset + length <= page_bytes);
  const std::uint32_t first_whole = (offset + stride_bytes - 1) / stride_bytes;
  const std::uint32_t end_whole = (offset + length) / stride_bytes;
  if (first_whole >= end_whole) return inet_sum(bytes.subspan(offset, length));

  if (!valid_[frame.value].load(std::memory_order_acquire)) fill(frame, bytes);
  const auto prefix = [this, frame](std::uint32_t strides) -> std::uint16_t {
    return strides == 0 ? std::uint16_t{0}
                        : prefixes_[frame.value][strides - 1].load(std::memory_order_relaxed);
  };
  // One's-complement subtraction is addition of the complement (RFC 1071 §2).
  PartialSum middle = prefix(end_whole);
  if (first_whole != 0) middle += static_cast<std::uint16_t>(~prefix(first_whole));

  const std::uint32_t head_length = first_whole * stride_bytes - offset;
  const std::uint32_t tail_begin = end_whole * stride_bytes;
  // Everything after an odd head stands at odd positions of the piece.
  if (head_length % 2 != 0) middle = swap_sum(middle);
  PartialSum tail = inet_sum(bytes.subspan(tail_begin, offset + length - tail_begin));
  if (head_length % 2 != 0) tail = swap_sum(tail);
  return inet_sum(bytes.subspan(offset, head_length)) + middle + tail;
}

}  // namespace strictsend::pagecache
