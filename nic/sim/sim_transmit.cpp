// SPDX-License-Identifier: Apache-2.0
#include "nic/sim/sim_transmit.hpp"

#include <algorithm>
#include <cstring>

#include "nic/gather.hpp"
#include "nic/segmentation.hpp"
#include "nic/validate.hpp"

namespace strictsend::nic {
namespace {

constexpr std::byte metadata_byte{0xa5};

/// Not cryptographic: it must change when a byte does.
std::uint64_t mix(std::uint64_t digest, std::uint64_t word) {
  digest = (digest ^ word) * 0x9fb21c651e98df25;
  return digest ^ (digest >> 32);
}

}  // namespace

SimTransmit::SimTransmit(const SimConfig& config, const PortCapabilities& capabilities,
                         const DmaMemory& memory, SimWire& wire, QueueCounters& counters)
    : config_(&config),
      capabilities_(&capabilities),
      memory_(memory),
      wire_(&wire),
      counters_(&counters),
      random_(config.seed * 4 + 3),
      descriptors_(config.tx_ring_packets),
      fragments_each_(std::max(capabilities.max_fragments, capabilities.segmented_fragments_max)),
      fragments_(config.tx_ring_packets * fragments_each_),
      whole_(capabilities.segmented_bytes_max != 0
                 ? link_header_bytes_max + capabilities.segmented_bytes_max
                 : 0),
      posted_(config.tx_ring_packets),
      completed_(config.tx_ring_packets) {
  free_.reserve(config.tx_ring_packets);
  returned_.reserve(config.tx_ring_packets);
  for (std::size_t i = config.tx_ring_packets; i > 0; --i)
    free_.push_back(static_cast<std::uint32_t>(i - 1));
}

std::size_t SimTransmit::transmit(std::span<const TxPacket> packets) {
  STRICTSEND_ASSERT(!stopped_);
  std::size_t taken = 0;
  while (taken < packets.size() && !free_.empty()) {
    const std::uint32_t index = free_.back();
    free_.pop_back();
    post(index, packets[taken++]);
  }
  return taken;
}

void SimTransmit::post(std::uint32_t index, const TxPacket& packet) {
  assert_sendable(*capabilities_, memory_, packet);
  STRICTSEND_ASSERT(std::ranges::none_of(descriptors_, [&](const Descriptor& other) {
    return other.state != State::free && other.cookie == packet.cookie;
  }));
  std::ranges::copy(packet.fragments,
                    fragments_.begin() + static_cast<std::ptrdiff_t>(index * fragments_each_));
  // As a driver does that keeps its metadata in front of the header.
  std::memset(
      memory_.base + packet.fragments.front().offset.value - capabilities_->header_headroom_bytes,
      std::to_integer<int>(metadata_byte), capabilities_->header_headroom_bytes);

  Descriptor& descriptor = descriptors_[index];
  descriptor = {.state = State::posted,
                .cookie = packet.cookie,
                .fragment_count = static_cast<std::uint32_t>(packet.fragments.size()),
                .length_bytes = length_of(packet.fragments),
                .order = next_order_++,
                .checksum = packet.checksum,
                .segmentation = packet.segmentation};
  descriptor.digest = digest_of(index);
  posted_.push(index);
  ++counters_->tx_packets;
  counters_->tx_bytes += descriptor.length_bytes;
}

void SimTransmit::kick() {
  while (!posted_.empty()) {
    const std::uint32_t index = posted_.pop();
    Descriptor& descriptor = descriptors_[index];
    descriptor.state = State::on_device;
    if (config_->dma.read == SimRead::at_kick) descriptor.frame = read_memory(index);
    // In order, however late: a device works through its ring.
    last_read_at_ = std::max(
        last_read_at_, turn_on_the_link(descriptor) + random_.up_to(config_->dma.lateness_max));
    wire_->events.schedule(last_read_at_, SimEvent::Kind::dma_read, index);
  }
}

void SimTransmit::on_dma_read(std::uint32_t index) {
  if (stopped_) return;
  Descriptor& descriptor = descriptors_[index];
  look_for_change(index);
  descriptor.state = State::read;
  if (descriptor.segmentation) {
    leave_in_pieces(index);
  } else {
    leave(config_->dma.read == SimRead::at_kick ? descriptor.frame : read_memory(index));
    descriptor.frame.reset();
  }

  const Duration lateness = random_.up_to(config_->dma.completion_lateness_max);
  if (random_.chance(config_->dma.lost_completion_ppm)) {
    ++lost_completions_;
    return;
  }
  Time at = wire_->now + lateness;
  if (descriptor.order == config_->dma.stuck_packet) {
    // By itself: what completes in order goes on without it.
    wire_->events.schedule(std::max(at, config_->dma.stuck_until), SimEvent::Kind::completion,
                           index);
    return;
  }
  if (config_->dma.completes_in_order) at = std::max(at, last_completion_at_);
  last_completion_at_ = at;
  if (at == wire_->now) {
    on_completion(index);
  } else {
    wire_->events.schedule(at, SimEvent::Kind::completion, index);
  }
}

void SimTransmit::on_completion(std::uint32_t index) {
  if (stopped_) return;
  look_for_change(index);
  descriptors_[index].state = State::completed;
  completed_.push({.descriptor = index, .status = TxStatus::sent});
  if (completed_.size() >= config_->dma.completion_batch_packets) reportable_ = completed_.size();
}

bool SimTransmit::can_reap() const {
  return reportable_ != 0;
}

std::size_t SimTransmit::reap(std::span<TxCompletion> completions) {
  return_held();
  std::size_t count = 0;
  while (count < completions.size() && reportable_ != 0) {
    const Completed completed = completed_.pop();
    --reportable_;
    Descriptor& descriptor = descriptors_[completed.descriptor];
    completions[count++] = {.cookie = descriptor.cookie, .status = completed.status};
    descriptor.state = State::free;
    free_.push_back(completed.descriptor);
    ++counters_->tx_completions;
    if (completed.status == TxStatus::dropped) ++counters_->tx_dropped;
  }
  return count;
}

void SimTransmit::stop() {
  if (stopped_) return;
  stopped_ = true;
  while (!posted_.empty())
    static_cast<void>(posted_.pop());
  holding_ = true;
  return_held();
}

void SimTransmit::look_at_held() {
  if (!holding_) return;
  for (std::uint32_t index = 0; index < descriptors_.size(); ++index) {
    const State state = descriptors_[index].state;
    if (state != State::free && state != State::completed) look_for_change(index);
  }
}

void SimTransmit::return_held() {
  if (!holding_ || wire_->now < config_->dma.holds_until) return;
  holding_ = false;
  for (std::uint32_t index = 0; index < descriptors_.size(); ++index) {
    Descriptor& descriptor = descriptors_[index];
    if (descriptor.state == State::free || descriptor.state == State::completed) continue;
    look_for_change(index);
    if (descriptor.frame) wire_->frames.give_back(*descriptor.frame);
    descriptor.frame.reset();
    returned_.push_back(index);
  }
  std::ranges::sort(returned_, {}, [&](std::uint32_t i) { return descriptors_[i].order; });
  for (const std::uint32_t index : returned_) {
    descriptors_[index].state = State::completed;
    completed_.push({.descriptor = index, .status = TxStatus::dropped});
  }
  reportable_ = completed_.size();
}

std::span<const Fragment> SimTransmit::fragments_of(std::uint32_t index) const {
  return std::span(fragments_).subspan(index * fragments_each_, descriptors_[index].fragment_count);
}

/// When its last bit has left.
Time SimTransmit::turn_on_the_link(const Descriptor& descriptor) {
  if (!descriptor.segmentation)
    return wire_->to_peer.serialise(wire_->now, descriptor.length_bytes);
  const Segmentation cut(*descriptor.segmentation, descriptor.length_bytes);
  Time left_at = wire_->now;
  for (std::uint32_t i = 0; i < cut.count(); ++i)
    left_at = wire_->to_peer.serialise(wire_->now, cut.frame_bytes(i));
  return left_at;
}

void SimTransmit::leave(std::optional<SimFrameIndex> frame) {
  if (!frame) {
    ++wire_->to_peer.stats().overflowed;
    return;
  }
  if (config_->tap) config_->tap(wire_->now, wire_->frames.bytes(*frame));
  wire_->to_peer.carry(*frame, wire_->now);
}

void SimTransmit::leave_in_pieces(std::uint32_t index) {
  const Descriptor& descriptor = descriptors_[index];
  const auto whole =
      std::span<const std::byte>(whole_).first(gather(memory_, fragments_of(index), whole_));
  const Segmentation cut(*descriptor.segmentation, descriptor.length_bytes);
  for (std::uint32_t i = 0; i < cut.count(); ++i) {
    const auto frame = wire_->frames.take();
    if (frame) {
      wire_->frames[*frame].length_bytes = cut_piece(
          whole, *descriptor.segmentation, *descriptor.checksum, i, wire_->frames.room(*frame));
    }
    leave(frame);
  }
}

std::optional<SimFrameIndex> SimTransmit::read_memory(std::uint32_t index) {
  const auto frame = wire_->frames.take();
  if (!frame) return std::nullopt;
  wire_->frames[*frame].length_bytes =
      gather(memory_, fragments_of(index), wire_->frames.room(*frame));
  if (const auto& request = descriptors_[index].checksum)
    complete_checksum(wire_->frames.bytes(*frame), *request);
  return frame;
}

std::uint64_t SimTransmit::digest_of(std::uint32_t index) const {
  if (!config_->dma.check_immutable) return 0;
  std::uint64_t digest = 0;
  for (const Fragment& fragment : fragments_of(index)) {
    std::span<const std::byte> left(memory_.base + fragment.offset.value, fragment.length_bytes);
    while (!left.empty()) {
      std::uint64_t word = 0;
      const std::size_t bytes = std::min(left.size(), sizeof(word));
      std::memcpy(&word, left.data(), bytes);
      digest = mix(digest, word);
      left = left.subspan(bytes);
    }
  }
  return digest;
}

void SimTransmit::look_for_change(std::uint32_t index) {
  const std::uint64_t digest = digest_of(index);
  if (digest == descriptors_[index].digest) return;
  ++changed_;
  descriptors_[index].digest = digest;  // each change is counted once
}

}  // namespace strictsend::nic
