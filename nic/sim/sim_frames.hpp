// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/assert.hpp"
#include "base/clock.hpp"
#include "base/strong.hpp"

namespace strictsend::nic {

using SimFrameIndex = Strong<struct SimFrameTag, std::uint32_t>;

/// The frames on the way: buffers of one size, taken at the start. Not synchronised.
class SimFrames {
 public:
  struct Frame {
    Time left_at;
    Time arrives_at;
    std::uint32_t length_bytes = 0;
    bool corrupted = false;
  };

  SimFrames(std::size_t count, std::size_t frame_bytes_max)
      : frame_bytes_max_(frame_bytes_max),
        frames_(count),
        // Left uninitialised: thousands of simulations are made, and most touch few frames.
        bytes_(new std::byte[count * frame_bytes_max]) {
    free_.reserve(count);
    for (std::size_t i = count; i > 0; --i)
      free_.push_back(SimFrameIndex(static_cast<std::uint32_t>(i - 1)));
  }

  [[nodiscard]] std::optional<SimFrameIndex> take() {
    if (free_.empty()) return std::nullopt;
    const SimFrameIndex index = free_.back();
    free_.pop_back();
    frames_[index.value] = Frame{};
    return index;
  }
  void give_back(SimFrameIndex index) {
    STRICTSEND_ASSERT(free_.size() < frames_.size());
    free_.push_back(index);
  }

  [[nodiscard]] Frame& operator[](SimFrameIndex index) { return frames_[index.value]; }
  [[nodiscard]] std::span<std::byte> room(SimFrameIndex index) {
    return {bytes_.get() + index.value * frame_bytes_max_, frame_bytes_max_};
  }
  [[nodiscard]] std::span<std::byte> bytes(SimFrameIndex index) {
    return room(index).first(frames_[index.value].length_bytes);
  }
  [[nodiscard]] std::size_t count() const { return frames_.size(); }
  [[nodiscard]] std::size_t in_use() const { return frames_.size() - free_.size(); }

 private:
  std::size_t frame_bytes_max_;
  std::vector<Frame> frames_;
  std::vector<SimFrameIndex> free_;
  std::unique_ptr<std::byte[]> bytes_;  // NOLINT(modernize-avoid-c-arrays): not to be initialised
};

}  // namespace strictsend::nic
