// SPDX-License-Identifier: Apache-2.0
#include "tests/support/acking_peer.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace strictsend::testing {
namespace {

// Control bits as they stand on the wire, RFC 9293 §3.1.
constexpr std::uint16_t tcp_syn = 0x02;
constexpr std::uint16_t tcp_psh = 0x08;

}  // namespace

AckingPeer::AckingPeer(const SimAddresses& addresses, std::size_t connections,
                       const std::byte* dma_view)
    : dma_view_(dma_view), connections_(connections) {
  for (std::size_t i = 0; i < connections; ++i) {
    const auto port = static_cast<std::uint16_t>(first_port + i);
    connections_[i].header = wire::TcpHeaderTemplate(
        wire::FlowAddress{addresses.client_mac, addresses.engine_mac, addresses.client,
                          addresses.engine, port, addresses.engine_port});
  }
}

void AckingPeer::open_all() {
  while (opened_ < connections_.size() && opened_ - answered_ < opening_max) {
    Connection& connection = connections_[opened_];
    connection.snd_nxt = 0;
    if (!emit(connection, {.syn = true}, {.mss = 1460, .window_scale = 10})) return;
    connection.snd_nxt = 1;
    ++opened_;
  }
}

void AckingPeer::transmitted(std::span<const nic::TxPacket> packets) {
  for (const nic::TxPacket& packet : packets)
    take(packet);
  open_all();
}

void AckingPeer::take(const nic::TxPacket& packet) {
  const std::byte* frame = dma_view_ + packet.fragments[0].offset.value;
  const auto ethernet = wire::load<wire::EthernetLayout>(frame);
  const auto ip = wire::load<wire::Ipv4Layout>(frame + wire::ethernet_bytes);
  if (ethernet.ether_type.get() != wire::ether_type_ipv4 || ip.protocol != wire::protocol_tcp) {
    ++other_frames_;
    return;
  }
  if (deaf_) return;
  const auto tcp = wire::load<wire::TcpLayout>(frame + wire::ethernet_bytes + wire::ipv4_bytes_min);
  const std::uint16_t flags = tcp.data_offset_flags.get();
  std::uint32_t length = 0;
  for (const nic::Fragment& fragment : packet.fragments)
    length += fragment.length_bytes;
  const std::uint32_t headers =
      static_cast<std::uint32_t>(wire::ethernet_bytes + wire::ipv4_bytes_min + (flags >> 12) * 4U);
  Connection& connection =
      connections_[static_cast<std::size_t>(tcp.destination_port.get() - first_port)];
  const std::uint32_t payload = length - headers;
  if ((flags & tcp_syn) != 0) {
    if (!connection.answered) ++answered_;
    connection.answered = true;
    connection.rcv_nxt = tcp.seq.get() + 1;
    acknowledge(connection);
  } else if (payload > 0) {
    ++data_segments_;
    payload_bytes_ += payload;
    connection.payload_bytes += payload;
    // Nothing is lost on the way here, so it is in order; of what goes back, a full ring drops
    // some.
    const std::uint32_t end = tcp.seq.get() + payload;
    if (static_cast<std::int32_t>(end - connection.rcv_nxt) > 0) connection.rcv_nxt = end;
    connection.ack_due = !connection.ack_due;
    if (!connection.ack_due) acknowledge(connection);
    // A last odd segment must not wait for another one.
    if ((flags & tcp_psh) != 0 && connection.ack_due) acknowledge(connection);
  }
}

void AckingPeer::acknowledge(Connection& connection) {
  connection.ack_due = false;
  emit(connection, {.ack = true}, {});
}

bool AckingPeer::emit(const Connection& connection, wire::TcpFlags flags,
                      const wire::TcpOptions& options) {
  wire::TcpSegmentHeader segment;
  segment.seq = connection.snd_nxt;
  segment.ack = connection.rcv_nxt;
  segment.window = flags.syn ? std::uint16_t{65535} : window_;  // a SYN's is never scaled
  segment.flags = flags;
  segment.options = options;
  std::array<std::byte, 128> frame;
  const std::uint32_t length = connection.header.emit(frame, segment, 0);
  return port_->inject(std::span(frame).first(length), queue_);
}

}  // namespace strictsend::testing
