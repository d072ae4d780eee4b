// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/strong.hpp"

namespace strictsend {

/// The unit of protection, of the arena and of the page table. Only 4 KiB pages are supported
/// (x86-64, arm64/4K).
inline constexpr std::uint64_t page_bytes = 4096;
inline constexpr unsigned page_shift = 12;

/// A frame: a 4 KiB page of the arena, by its position in the memfd. Frame 0 is never handed out
/// (AF_XDP fragments may not start at UMEM offset 0 when TX metadata is on), so 0 also serves as
/// "none".
using FrameIndex = Strong<struct FrameIndexTag, std::uint32_t>;
inline constexpr FrameIndex no_frame{0};

/// A page of a file, by its position in the file.
using PageIndex = Strong<struct PageIndexTag, std::uint32_t>;

/// A byte position in the arena: what an AF_XDP descriptor calls addr, and what a DMA view is
/// indexed by.
using ArenaOffset = Strong<struct ArenaOffsetTag, std::uint64_t>;

constexpr ArenaOffset offset_of(FrameIndex frame) {
  return ArenaOffset{std::uint64_t{frame.value} << page_shift};
}
constexpr FrameIndex frame_of(ArenaOffset offset) {
  return FrameIndex{static_cast<std::uint32_t>(offset.value >> page_shift)};
}
constexpr std::uint64_t pages_for(std::uint64_t bytes) {
  return (bytes + page_bytes - 1) >> page_shift;
}

}  // namespace strictsend
