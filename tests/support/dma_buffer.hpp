// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string_view>

#include "nic/port.hpp"

namespace strictsend::test {

/// DMA memory without an arena behind it, for tests of ports alone: frame 0, `receive_frames` to
/// receive into, and the rest for the test to send from.
class DmaBuffer {
 public:
  explicit DmaBuffer(std::uint32_t frames, std::uint32_t receive_frames = 8)
      : bytes_(static_cast<std::byte*>(std::aligned_alloc(page_bytes, frames * page_bytes))),
        memory_{.base = bytes_.get(),
                .size_bytes = frames * page_bytes,
                .receive_begin = FrameIndex{1},
                .receive_end = FrameIndex{1 + receive_frames}} {
    std::ranges::fill(all(), std::byte{0});
  }

  [[nodiscard]] const nic::DmaMemory& memory() const { return memory_; }
  [[nodiscard]] std::span<std::byte> all() { return {bytes_.get(), memory_.size_bytes}; }
  /// The first frame that is not the port's.
  [[nodiscard]] FrameIndex first_free() const { return memory_.receive_end; }

  [[nodiscard]] std::span<std::byte> at(const nic::Fragment& fragment) {
    return all().subspan(fragment.offset.value, fragment.length_bytes);
  }
  /// Writes `bytes` at a position of a frame, and returns the fragment that is them.
  nic::Fragment put(FrameIndex frame, std::uint32_t in_page, std::span<const std::byte> bytes) {
    const nic::Fragment fragment{.offset = ArenaOffset{offset_of(frame).value + in_page},
                                 .length_bytes = static_cast<std::uint32_t>(bytes.size())};
    std::ranges::copy(bytes, at(fragment).begin());
    return fragment;
  }
  nic::Fragment put(FrameIndex frame, std::uint32_t in_page, std::string_view text) {
    return put(frame, in_page, std::as_bytes(std::span(text)));
  }

 private:
  struct Free {
    void operator()(std::byte* bytes) const { std::free(bytes); }
  };
  std::unique_ptr<std::byte, Free> bytes_;
  nic::DmaMemory memory_;
};

}  // namespace strictsend::test
