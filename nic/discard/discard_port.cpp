// SPDX-License-Identifier: Apache-2.0
#include "nic/discard/discard_port.hpp"

#include <algorithm>
#include <cerrno>

#include "nic/gather.hpp"
#include "nic/validate.hpp"

namespace strictsend::nic {
namespace {

PortCapabilities capabilities_of(const DiscardConfig& config) {
  return {.description = "discard",
          .driver = "discard",
          .mac = config.mac,
          .mtu_bytes = config.mtu_bytes,
          .max_fragments = config.max_fragments,
          .max_fragment_bytes = config.max_fragment_bytes,
          .fragment_crosses_page = config.fragment_crosses_page,
          .checksum_offload = config.checksum_offload,
          .segmented_bytes_max = config.segmented_bytes_max,
          .segmented_fragments_max =
              config.segmented_bytes_max != 0 ? config.segmented_fragments_max : 0,
          .owns_interface = config.owns_interface};
}

}  // namespace

Result<std::unique_ptr<DiscardPort>> DiscardPort::create(const DiscardConfig& config,
                                                         const DmaMemory& memory) {
  if (memory.base == nullptr || memory.receive_begin > memory.receive_end ||
      offset_of(memory.receive_end).value > memory.size_bytes)
    return fail("open discard port", EINVAL, "its receive frames must lie inside the DMA memory");
  if (config.tx_ring_packets == 0 || config.max_fragments == 0 || config.queues == 0)
    return fail("open discard port", EINVAL, "rings, packets and queues: at least one of each");
  if (config.segmented_bytes_max != 0 && !config.checksum_offload)
    return fail("open discard port", EINVAL, "segmentation needs checksum_offload");
  return std::unique_ptr<DiscardPort>(new DiscardPort(config, memory));
}

DiscardPort::DiscardPort(const DiscardConfig& config, const DmaMemory& memory)
    : capabilities_(capabilities_of(config)), memory_(memory) {
  const auto queues = static_cast<std::uint32_t>(config.queues);
  const std::uint32_t frames = (memory.receive_end.value - memory.receive_begin.value) / queues;
  for (std::uint32_t i = 0; i < queues; ++i) {
    DmaMemory part = memory;
    part.receive_begin = memory.receive_begin.plus(i * frames);
    part.receive_end = part.receive_begin.plus(frames);
    TransmitObserver* observer = i < config.observers.size() ? config.observers[i] : nullptr;
    queues_.push_back(std::make_unique<DiscardQueue>(*this, config, part, observer));
  }
}

Result<void> DiscardPort::accept_flows(const FlowFilter& /*filter*/) {
  return {};  // whoever injects sends nothing else
}

DiscardPort::DiscardQueue::DiscardQueue(const DiscardPort& port, const DiscardConfig& config,
                                        const DmaMemory& memory, TransmitObserver* observer)
    : port_(&port),
      observer_(observer),
      outstanding_(config.tx_ring_packets),
      receive_(memory, config.rx_ring_packets, config.rx_checksum, counters_) {}

std::size_t DiscardPort::DiscardQueue::transmit(std::span<const TxPacket> packets) {
  STRICTSEND_ASSERT(!stopped_);
  std::size_t taken = 0;
  while (taken < packets.size() && !outstanding_.full()) {
    const TxPacket& packet = packets[taken++];
    assert_sendable(port_->capabilities_, port_->memory_, packet);
    outstanding_.push(packet.cookie);
    ++counters_.tx_packets;
    counters_.tx_bytes += length_of(packet.fragments);
  }
  if (observer_ != nullptr && taken != 0) observer_->transmitted(packets.first(taken));
  return taken;
}

int DiscardPort::DiscardQueue::kick() {
  return 0;
}

std::size_t DiscardPort::DiscardQueue::reap(std::span<TxCompletion> completions) {
  std::size_t count = 0;
  while (count < completions.size() && !outstanding_.empty()) {
    completions[count++] = {.cookie = outstanding_.pop(),
                            .status = stopped_ ? TxStatus::dropped : TxStatus::sent};
  }
  counters_.tx_completions += count;
  if (stopped_) counters_.tx_dropped += count;
  return count;
}

std::size_t DiscardPort::DiscardQueue::receive(std::span<RxPacket> packets) {
  return receive_.receive(packets);
}

void DiscardPort::DiscardQueue::release_received() {
  receive_.release_received();
}

bool DiscardPort::DiscardQueue::arm_wait() {
  return receive_.empty() && outstanding_.empty();
}

void DiscardPort::DiscardQueue::stop() {
  stopped_ = true;
}

}  // namespace strictsend::nic
