// SPDX-License-Identifier: Apache-2.0
#include "tests/support/steering_port.hpp"

#include <array>
#include <utility>

#include "base/assert.hpp"

namespace strictsend::testing {
namespace {

/// A cookie of the inner port: the queue in the upper bits, its own cookie below.
constexpr unsigned queue_shift = 24;
constexpr std::uint32_t cookie_mask = (1U << queue_shift) - 1;

}  // namespace

SteeringPort::SteeringPort(nic::Queue& inner, std::size_t queues, Steer steer)
    : inner_(&inner), steer_(std::move(steer)) {
  for (std::uint32_t i = 0; i < queues; ++i)
    queues_.push_back(std::make_unique<SteeredQueue>(*this, i));
}

void SteeringPort::reap_inner() {
  std::array<nic::TxCompletion, 64> completions;
  while (const std::size_t count = inner_->reap(completions)) {
    for (std::size_t i = 0; i < count; ++i) {
      nic::TxCompletion completion = completions[i];
      SteeredQueue& queue = *queues_.at(completion.cookie >> queue_shift);
      completion.cookie &= cookie_mask;
      queue.completed_.push_back(completion);
    }
  }
}

void SteeringPort::receive_inner() {
  std::array<nic::RxPacket, 64> packets;
  while (const std::size_t count = inner_->receive(packets)) {
    for (const nic::RxPacket& packet : std::span(packets).first(count)) {
      queues_.at(steer_(packet.bytes))
          ->arrived_.emplace_back(packet.bytes.begin(), packet.bytes.end());
    }
    inner_->release_received();
  }
}

std::size_t SteeringPort::SteeredQueue::transmit(std::span<const nic::TxPacket> packets) {
  STRICTSEND_ASSERT(!stopped_);
  std::size_t taken = 0;
  for (nic::TxPacket packet : packets) {
    STRICTSEND_ASSERT(packet.cookie <= cookie_mask);
    packet.cookie |= number_ << queue_shift;
    if (port_->inner_->transmit({&packet, 1}) == 0) break;
    ++taken;
  }
  return taken;
}

std::size_t SteeringPort::SteeredQueue::reap(std::span<nic::TxCompletion> completions) {
  port_->reap_inner();
  std::size_t count = 0;
  while (count < completions.size() && !completed_.empty()) {
    completions[count++] = completed_.front();
    completed_.pop_front();
  }
  return count;
}

std::size_t SteeringPort::SteeredQueue::receive(std::span<nic::RxPacket> packets) {
  STRICTSEND_ASSERT(!stopped_);
  if (port_->stopped_count_ == 0) port_->receive_inner();
  std::size_t count = 0;
  while (count < packets.size() && !arrived_.empty()) {
    lent_.push_back(std::move(arrived_.front()));
    arrived_.pop_front();
    ++count;
  }
  for (std::size_t i = 0; i < count; ++i)
    packets[i] = {lent_[i], nic::RxChecksum::unknown};
  return count;
}

void SteeringPort::SteeredQueue::stop() {
  if (std::exchange(stopped_, true)) return;
  if (++port_->stopped_count_ == port_->queues_.size()) port_->inner_->stop();
}

}  // namespace strictsend::testing
