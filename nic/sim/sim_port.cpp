// SPDX-License-Identifier: Apache-2.0
#include "nic/sim/sim_port.hpp"

#include <cerrno>
#include <cstring>

namespace strictsend::nic {
namespace {

constexpr std::uint32_t ipv4_bytes_max = 65535;  // RFC 791 §3.1, total length

PortCapabilities capabilities_of(const SimConfig& config) {
  return {.description = "sim",
          .driver = "sim",
          .mac = config.mac,
          .mtu_bytes = config.mtu_bytes,
          .max_fragments = config.max_fragments,
          .max_fragment_bytes = config.max_fragment_bytes,
          .fragment_crosses_page = config.fragment_crosses_page,
          .checksum_offload = config.checksum_offload,
          .segmented_bytes_max = config.segmented_bytes_max,
          .segmented_fragments_max =
              config.segmented_bytes_max != 0 ? config.segmented_fragments_max : 0,
          .copies_payload = config.dma.read == SimRead::at_kick,
          .late_completion = config.dma.completion_batch_packets > 1,
          .header_headroom_bytes = config.header_headroom_bytes,
          .owns_interface = config.owns_interface};
}

}  // namespace

Result<std::unique_ptr<SimPort>> SimPort::create(const SimConfig& config, const DmaMemory& memory) {
  const auto refuse = [](const char* hint) { return fail("open sim port", EINVAL, hint); };
  if (memory.base == nullptr || memory.size_bytes % page_bytes != 0)
    return refuse("the DMA memory must be whole pages");
  if (memory.receive_begin >= memory.receive_end ||
      offset_of(memory.receive_end).value > memory.size_bytes)
    return refuse("assign it frames to receive into, inside the DMA memory");
  if (link_header_bytes_max + config.mtu_bytes > page_bytes)
    return refuse("an MTU above 4078 bytes does not fit a receive frame");
  if (config.tx_ring_packets == 0 || config.rx_ring_packets == 0 || config.max_fragments == 0)
    return refuse("rings and packets need room for at least one");
  if (config.segmented_bytes_max != 0 &&
      (!config.checksum_offload || config.dma.read == SimRead::at_kick))
    return refuse("segmentation needs checksum_offload, and SimRead::at_completion");
  if (config.segmented_bytes_max > ipv4_bytes_max)
    return refuse("an IPv4 packet is no longer than 65535 bytes");
  if (config.dma.completion_batch_packets == 0 ||
      config.dma.completion_batch_packets > config.tx_ring_packets)
    return refuse("completion batches must be between 1 and the ring's size");
  return std::unique_ptr<SimPort>(new SimPort(config, memory));
}

SimPort::SimPort(const SimConfig& config, const DmaMemory& memory)
    : config_(config),
      capabilities_(capabilities_of(config)),
      wire_(config_),
      peer_(wire_),
      transmit_(config_, capabilities_, memory, wire_, counters_),
      receive_(memory, config_.rx_ring_packets, config_.rx_checksum, counters_),
      queue_(*this) {}

void SimPort::advance_to(Time now) {
  STRICTSEND_ASSERT(now >= wire_.now);
  while (wire_.events.next_at() <= now) {
    const SimEvent event = wire_.events.pop();
    wire_.now = event.at;
    happen(event);
  }
  wire_.now = now;
}

void SimPort::happen(const SimEvent& event) {
  switch (event.kind) {
    case SimEvent::Kind::dma_read:
      return transmit_.on_dma_read(event.index);
    case SimEvent::Kind::completion:
      return transmit_.on_completion(event.index);
    case SimEvent::Kind::at_peer:
      return peer_.arrived(SimFrameIndex(event.index));
    case SimEvent::Kind::at_port:
      return on_arrival(SimFrameIndex(event.index));
  }
}

void SimPort::on_arrival(SimFrameIndex frame) {
  ++wire_.from_peer.stats().arrived;
  const std::span<const std::byte> bytes = wire_.frames.bytes(frame);
  // After stop() a device writes no memory any more.
  if (!transmit_.stopped()) {
    if (config_.filter_flows && !accepts(bytes)) {
      ++not_ours_;
    } else {
      receive_.deliver(bytes);
    }
  }
  wire_.frames.give_back(frame);
}

bool SimPort::accepts(std::span<const std::byte> frame) const {
  if (!config_.owns_interface) return filters_.accept(frame);
  // IEEE 802.3 §4.2.9, LayerMgmtRecognizeAddress: a station's own address, or a group.
  const std::size_t mac_bytes = config_.mac.size();
  return frame.size() >= mac_bytes &&
         ((std::to_integer<unsigned>(frame[0]) & 1U) != 0 ||
          std::memcmp(frame.data(), config_.mac.data(), mac_bytes) == 0);
}

SimStats SimPort::stats() {
  transmit_.look_at_held();
  return {.to_peer = wire_.to_peer.stats(),
          .from_peer = wire_.from_peer.stats(),
          .lost_completions = transmit_.lost_completions(),
          .changed_under_descriptor = transmit_.changed_under_descriptor(),
          .not_ours = not_ours_};
}

void SimPort::set_link_up(bool up) {
  link_up_ = up;
  wire_.to_peer.set_up(up);
  wire_.from_peer.set_up(up);
}

Queue& SimPort::queue(std::size_t index) {
  STRICTSEND_ASSERT(index == 0);
  return queue_;
}

Result<void> SimPort::accept_flows(const FlowFilter& filter) {
  filters_.add(filter);
  return {};
}

std::size_t SimPort::SimQueue::transmit(std::span<const TxPacket> packets) {
  return port_->removed_ ? 0 : port_->transmit_.transmit(packets);
}

int SimPort::SimQueue::kick() {
  STRICTSEND_ASSERT(!port_->transmit_.stopped());
  ++port_->counters_.tx_kicks;
  if (port_->removed_) return ENODEV;
  if (!port_->link_up_) return ENETDOWN;
  port_->transmit_.kick();
  return 0;
}

std::size_t SimPort::SimQueue::reap(std::span<TxCompletion> completions) {
  return port_->transmit_.reap(completions);
}

std::size_t SimPort::SimQueue::receive(std::span<RxPacket> packets) {
  STRICTSEND_ASSERT(!port_->transmit_.stopped());
  return port_->receive_.receive(packets);
}

void SimPort::SimQueue::release_received() {
  STRICTSEND_ASSERT(!port_->transmit_.stopped());
  port_->receive_.release_received();
}

bool SimPort::SimQueue::arm_wait() {
  return port_->receive_.empty() && !port_->transmit_.can_reap();
}

Time SimPort::SimQueue::next_event() const {
  return port_->wire_.events.next_at();
}

void SimPort::SimQueue::stop() {
  port_->transmit_.stop();
}

const QueueCounters& SimPort::SimQueue::counters() const {
  return port_->counters_;
}

}  // namespace strictsend::nic
