// SPDX-License-Identifier: Apache-2.0
#include "nic/pcap/pcap_port.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "nic/gather.hpp"
#include "nic/segmentation.hpp"

namespace strictsend::nic {
namespace {

std::size_t frame_bytes_max(const Port& port) {
  return link_header_bytes_max + std::size_t{port.capabilities().mtu_bytes};
}

}  // namespace

Result<std::unique_ptr<PcapPort>> PcapPort::create(std::unique_ptr<Port> inner,
                                                   const DmaMemory& memory, const std::string& path,
                                                   Clock clock) {
  const std::unique_ptr<Port>& checked = inner;
  STRICTSEND_ASSERT(checked != nullptr && clock != nullptr);
  std::unique_ptr<PcapPort> port(new PcapPort(std::move(inner), memory, std::move(clock)));
  for (std::size_t i = 0; i < port->inner_->queue_count(); ++i) {
    auto file = PcapFile::create(i == 0 ? path : path + "." + std::to_string(i),
                                 frame_bytes_max(*port->inner_));
    if (!file) return tl::unexpected(std::move(file.error()));
    port->queues_.push_back(
        std::make_unique<PcapQueue>(port->inner_->queue(i), std::move(*file), *port));
  }
  return port;
}

PcapPort::PcapPort(std::unique_ptr<Port> inner, const DmaMemory& memory, Clock clock)
    : inner_(std::move(inner)), memory_(memory), clock_(std::move(clock)) {}

std::uint64_t PcapPort::recorded(std::size_t queue_index) const {
  return queues_.at(queue_index)->file().recorded();
}

std::uint64_t PcapPort::lost(std::size_t queue_index) const {
  return queues_.at(queue_index)->file().lost();
}

Queue& PcapPort::queue(std::size_t index) {
  STRICTSEND_ASSERT(index < queues_.size());
  return *queues_[index];
}

PcapPort::PcapQueue::PcapQueue(Queue& inner, PcapFile file, const PcapPort& port)
    : inner_(&inner),
      file_(std::move(file)),
      port_(&port),
      gathered_(std::max<std::size_t>(
          frame_bytes_max(*port.inner_),
          link_header_bytes_max + port.inner_->capabilities().segmented_bytes_max)),
      piece_(frame_bytes_max(*port.inner_)) {}

std::size_t PcapPort::PcapQueue::transmit(std::span<const TxPacket> packets) {
  const std::size_t taken = inner_->transmit(packets);
  if (taken == 0) return 0;
  const Time at = port_->clock_();
  for (const TxPacket& packet : packets.first(taken)) {
    // The memory is still pinned: no completion has been reaped since.
    const std::span<std::byte> frame =
        std::span(gathered_).first(gather(port_->memory_, packet.fragments, gathered_));
    if (packet.segmentation) {
      record_pieces(at, frame, packet);
      continue;
    }
    if (packet.checksum) complete_checksum(frame, *packet.checksum);
    file_.record(at, frame);
  }
  return taken;
}

/// As they will be on the wire: whoever reads the capture would take one long packet with half a
/// checksum for a fault.
void PcapPort::PcapQueue::record_pieces(Time at, std::span<const std::byte> frame,
                                        const TxPacket& packet) {
  const Segmentation cut(*packet.segmentation, static_cast<std::uint32_t>(frame.size()));
  for (std::uint32_t i = 0; i < cut.count(); ++i) {
    const std::uint32_t length_bytes =
        cut_piece(frame, *packet.segmentation, *packet.checksum, i, piece_);
    file_.record(at, std::span(piece_).first(length_bytes));
  }
}

std::size_t PcapPort::PcapQueue::receive(std::span<RxPacket> packets) {
  const std::size_t count = inner_->receive(packets);
  if (count == 0) return 0;
  const Time at = port_->clock_();
  for (const RxPacket& packet : packets.first(count))
    file_.record(at, packet.bytes);
  return count;
}

void PcapPort::PcapQueue::stop() {
  inner_->stop();
  file_.flush();
}

}  // namespace strictsend::nic
