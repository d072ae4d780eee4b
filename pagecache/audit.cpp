// SPDX-License-Identifier: Apache-2.0
#include "pagecache/audit.hpp"

#include <cstring>

namespace strictsend::pagecache {

std::uint64_t audit_sum(std::span<const std::byte, page_bytes> bytes) {
  // Four independent multiply-and-rotate lanes: every word changes the sum, and order counts.
  constexpr std::uint64_t multiplier = 0x9e3779b97f4a7c15;
  std::uint64_t lanes[4] = {1, 2, 3, 4};
  for (std::size_t at = 0; at < page_bytes; at += 32) {
    for (std::size_t lane = 0; lane < 4; ++lane) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data() + at + lane * 8, 8);
      lanes[lane] = (lanes[lane] ^ word) * multiplier;
      lanes[lane] ^= lanes[lane] >> 29;
    }
  }
  std::uint64_t sum = 0;
  for (const std::uint64_t lane : lanes)
    sum = (sum ^ lane) * multiplier + (sum >> 31);
  return sum;
}

FrameAudit::FrameAudit(std::byte* dma_view, std::uint64_t frames)
    : dma_view_(dma_view), sums_(std::make_unique<std::uint64_t[]>(frames)) {}

std::span<const std::byte, page_bytes> FrameAudit::bytes(FrameIndex frame) const {
  return std::span<const std::byte, page_bytes>(dma_view_ + offset_of(frame).value, page_bytes);
}

void FrameAudit::became_free(FrameIndex frame) {
  sums_[frame.value] = audit_sum(bytes(frame));
}

bool FrameAudit::unchanged(FrameIndex frame) const {
  return sums_[frame.value] == audit_sum(bytes(frame));
}

}  // namespace strictsend::pagecache
