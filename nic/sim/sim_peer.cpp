// SPDX-License-Identifier: Apache-2.0
#include "nic/sim/sim_peer.hpp"

#include <cstring>

namespace strictsend::nic {

SimPeer::SimPeer(SimWire& wire) : wire_(&wire), inbox_(wire.frames.count()) {}

std::optional<SimFrame> SimPeer::receive() {
  if (lent_) {
    wire_->frames.give_back(*lent_);
    lent_.reset();
  }
  if (inbox_.empty()) return std::nullopt;
  lent_ = inbox_.pop();
  const SimFrames::Frame& frame = wire_->frames[*lent_];
  return SimFrame{.left_at = frame.left_at,
                  .arrived_at = frame.arrives_at,
                  .corrupted = frame.corrupted,
                  .bytes = wire_->frames.bytes(*lent_)};
}

void SimPeer::inject(std::span<const std::byte> frame) {
  const auto index = wire_->frames.take();
  if (!index) {
    ++wire_->from_peer.stats().overflowed;
    return;
  }
  const std::span<std::byte> room = wire_->frames.room(*index);
  STRICTSEND_ASSERT(frame.size() <= room.size());
  std::memcpy(room.data(), frame.data(), frame.size());
  wire_->frames[*index].length_bytes = static_cast<std::uint32_t>(frame.size());
  wire_->from_peer.carry(*index, wire_->from_peer.serialise(wire_->now, frame.size()));
}

void SimPeer::arrived(SimFrameIndex frame) {
  ++wire_->to_peer.stats().arrived;
  inbox_.push(frame);
}

}  // namespace strictsend::nic
