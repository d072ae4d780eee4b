// SPDX-License-Identifier: Apache-2.0
// What a loop does beside TCP where the engine owns the interface: it carries out what the Host
// decides, and has flows go where their next hop is.
#include <cerrno>
#include <utility>

#include "engine/host/host.hpp"
#include "engine/loop/queue_loop.hpp"

namespace strictsend::engine {

void QueueLoop::receive_other(const nic::RxPacket& received) {
  const HostStep step = config_.host->on_frame(received.bytes, now_);
  switch (step.kind) {
    case HostStep::Kind::ignored:
      counters_.frames_ignored.add();
      return;
    case HostStep::Kind::heard:
      return;
    case HostStep::Kind::answer_request:
      counters_.arp_requests_answered.add();
      break;
    case HostStep::Kind::conflict:
      counters_.address_conflicts.add();
      break;
    case HostStep::Kind::answer_echo:
      counters_.echo_requests_answered.add();
      break;
  }
  if (step.arp) send_frame(*step.arp);
  if (step.neighbour) send_frame(*step.neighbour);
  if (step.echo) send_frame(*step.echo);
}

void QueueLoop::keep_interface() {
  if (now_ < keep_at_) return;
  keep_at_ = Time::never();
  if (stopped_) return;
  if (kick_error_ == ENETDOWN) {
    link_lost_ = true;
    keep_at_ = now_ + Host::keep_interval;
    return;
  }
  // The switch behind a link that comes up need not be the one that knew us.
  if (std::exchange(link_lost_, false)) config_.host->announce_again(now_);
  keep_at_ = config_.host->keep(now_, [this](const auto& packet) {
    if (!config_.serves(packet.target)) counters_.neighbour_requests.add();
    send_frame(packet);
  });
}

void QueueLoop::send_frame(const wire::ArpPacket& packet) {
  send_written([&](std::span<std::byte> into) { return wire::emit_arp_packet(into, packet); });
}

void QueueLoop::send_frame(const wire::NeighbourPacket& packet) {
  send_written(
      [&](std::span<std::byte> into) { return wire::emit_neighbour_packet(into, packet); });
}

void QueueLoop::send_frame(const wire::IcmpEchoView& echo) {
  send_written([&](std::span<std::byte> into) { return wire::emit_icmp_echo(into, echo); });
}

template <class Write>
void QueueLoop::send_written(Write write) {
  // With no slot free it is lost like any packet: who wants it asks again.
  TxSlot* slot = slots_.take();
  if (slot == nullptr) return;
  const ArenaOffset at{slot->header_buffer.value + port_.header_headroom_bytes};
  const std::span<std::byte> into(cache_.dma_view() + at.value,
                                  config_.tx_buffer_bytes - port_.header_headroom_bytes);
  slot->fragments[0] = {at, write(into)};
  slot->fragment_count = 1;
  append_pending(*slot);
}

wire::FlowAddress QueueLoop::way_back(const wire::TcpPacketView& packet) const {
  wire::FlowAddress way{.source_mac = packet.destination_mac,
                        .destination_mac = packet.source_mac,
                        .source = packet.destination,
                        .destination = packet.source,
                        .source_port = packet.destination_port,
                        .destination_port = packet.source_port,
                        .vlan_id = config_.vlan_id};
  if (config_.host != nullptr)
    way.destination_mac = config_.host->way_back(packet.source, packet.source_mac);
  return way;
}

void QueueLoop::follow(Flow& flow, const wire::TcpPacketView& packet) {
  const wire::FlowAddress way = way_back(packet);
  if (way.destination_mac == flow.peer_mac) return;
  flow.peer_mac = way.destination_mac;
  flow.header = wire::TcpHeaderTemplate(way);
  if (config_.host != nullptr) config_.host->moved(packet.source, packet.source_mac, now_);
}

void QueueLoop::doubt_next_hop(Flow& flow) {
  // RFC 1122 §2.3.2.1 (4): TCP's advice that a next hop may be gone. What was learned since the
  // last time comes first, for asking again makes it doubtful.
  const std::optional<nic::MacAddress> mac = config_.host->next_hop(flow.key.peer_address);
  if (mac && *mac != flow.peer_mac) {
    flow.peer_mac = *mac;
    flow.header = wire::TcpHeaderTemplate({.source_mac = port_.mac,
                                           .destination_mac = *mac,
                                           .source = config_.own_address_for(flow.key.peer_address),
                                           .destination = flow.key.peer_address,
                                           .source_port = flow.key.local_port,
                                           .destination_port = flow.key.peer_port,
                                           .vlan_id = config_.vlan_id});
    counters_.flows_readdressed.add();
    return;
  }
  ask_for_next_hop(flow.key.peer_address);
}

void QueueLoop::ask_for_next_hop(const IpAddress& peer) {
  const auto ask = [this](const auto& request) {
    if (!request) return;
    counters_.neighbour_requests.add();
    send_frame(*request);
  };
  if (peer.is_v4())
    ask(config_.host->suspect(peer.v4(), now_));
  else
    ask(config_.host->suspect(peer.v6(), now_));
}

}  // namespace strictsend::engine
