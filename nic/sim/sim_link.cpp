// SPDX-License-Identifier: Apache-2.0
#include "nic/sim/sim_link.hpp"

#include <algorithm>
#include <cstring>

namespace strictsend::nic {
namespace {

/// IEEE 802.3 §3.1.1 and §4.4.2: preamble and delimiter 8, FCS 4, inter-packet gap 12.
constexpr std::size_t overhead_bytes = 24;
constexpr std::size_t frame_bytes_min = 60;

}  // namespace

Time SimLink::serialise(Time now, std::size_t frame_bytes) {
  const Time begin = std::max(now, free_at_);
  free_at_ = begin;
  if (bits_per_second_ != 0) {
    const std::uint64_t bits = (std::max(frame_bytes, frame_bytes_min) + overhead_bytes) * 8;
    free_at_ = begin + Duration{static_cast<std::int64_t>(bits * 1'000'000'000 / bits_per_second_)};
  }
  return free_at_;
}

void SimLink::carry(SimFrameIndex frame, Time left_at) {
  ++stats_.sent;
  // Every frame draws the same numbers whatever becomes of it, so that changing one probability
  // leaves the others' victims as they were.
  const bool lost = random_.chance(path_.loss_ppm);
  const bool corrupted = random_.chance(path_.corrupt_ppm);
  const bool reordered = random_.chance(path_.reorder_ppm);
  const bool duplicated = random_.chance(path_.duplicate_ppm);
  const std::uint64_t flipped = random_.next();
  const Duration held_back = nanoseconds(1) + random_.up_to(path_.reorder_delay_max);

  SimFrames::Frame& state = (*frames_)[frame];
  if (lost || !up_) {
    ++stats_.lost;
    frames_->give_back(frame);
    return;
  }
  if (corrupted && state.length_bytes != 0) {
    ++stats_.corrupted;
    state.corrupted = true;
    const std::uint64_t bit = flipped % (std::uint64_t{state.length_bytes} * 8);
    frames_->bytes(frame)[bit / 8] ^= std::byte{1} << (bit % 8);
  }
  state.left_at = left_at;
  state.arrives_at = left_at + path_.delay;
  if (reordered) {
    ++stats_.reordered;
    state.arrives_at = state.arrives_at + held_back;
  }
  schedule_arrival(frame);

  if (!duplicated) return;
  const auto copy = frames_->take();
  if (!copy) {
    ++stats_.overflowed;
    return;
  }
  ++stats_.duplicated;
  (*frames_)[*copy] = state;
  std::memcpy(frames_->room(*copy).data(), frames_->bytes(frame).data(), state.length_bytes);
  schedule_arrival(*copy);
}

void SimLink::schedule_arrival(SimFrameIndex frame) {
  events_->schedule((*frames_)[frame].arrives_at, arrival_, frame.value);
}

}  // namespace strictsend::nic
