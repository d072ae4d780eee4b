// SPDX-License-Identifier: Apache-2.0
#include "engine/host/host.hpp"

namespace strictsend::engine {

Host::Host(const HostConfig& config, Time now)
    : config_(config),
      neighbours_(config.gateway, config.gateway6, now),
      defended_ns_{(now - defend_interval).ns, (now - defend_interval).ns},
      announce_at_(now) {}

HostStep Host::on_frame(std::span<const std::byte> frame, Time now) {
  const auto ours = wire::parse_ethernet(frame);
  if (!ours || ours->vlan_id != config_.vlan_id) return {};
  if (const auto arp = wire::parse_arp_packet(frame)) return on_arp(*arp, now);
  if (const auto neighbour = wire::parse_neighbour_packet(frame))
    return on_neighbour(*neighbour, now);
  // A broadcast echo is not parsed at all: RFC 1122 §3.2.2.6 lets it be ignored, and answering
  // would make us an amplifier (RFC 2644).
  if (const auto echo = wire::parse_icmp_echo(frame)) return on_echo(*echo);
  return {};
}

bool Host::for_us(const nic::MacAddress& destination) const {
  return destination == config_.mac;
}

/// RFC 5227 §2.4 (c): others rely on the address, so it is not given up; but two hosts that both
/// defend it must not do so in turns without end. That is of one address: the other family's may
/// be claimed by somebody else at the same time.
bool Host::may_defend(AddressFamily family, Time now) {
  std::atomic<std::int64_t>& defended_ns = defended_ns_[static_cast<std::size_t>(family)];
  std::int64_t last = defended_ns.load(std::memory_order_relaxed);
  return now.ns - last >= defend_interval.ns &&
         defended_ns.compare_exchange_strong(last, now.ns, std::memory_order_relaxed);
}

HostStep Host::on_arp(const wire::ArpPacket& packet, Time now) {
  if (!config_.address) return {};
  if (!for_us(packet.destination_mac) && packet.destination_mac != wire::broadcast_mac) return {};
  // Our own, come back by a loop in the network. The MAC alone does not say so: the kernel's end of
  // DPDK's net_tap has the same as the port.
  if (packet.sender_mac == config_.mac && packet.sender == config_.address) return {};
  if (packet.sender == config_.address) {
    HostStep step{.kind = HostStep::Kind::conflict};
    if (may_defend(AddressFamily::ipv4, now)) step.arp = announcement();
    return step;
  }
  const bool asks_for_us =
      packet.operation == wire::ArpOperation::request && packet.target == config_.address;
  const bool answers_us = packet.operation == wire::ArpOperation::reply &&
                          packet.target == config_.address && for_us(packet.destination_mac);
  neighbours_.heard(packet.sender, packet.sender_mac, answers_us, now);
  if (!asks_for_us) return {.kind = HostStep::Kind::heard};
  // Also to who probes before using our address itself: the reply tells it not to.
  return {.kind = HostStep::Kind::answer_request,
          .arp = wire::ArpPacket{.source_mac = config_.mac,
                                 .destination_mac = packet.sender_mac,
                                 .operation = wire::ArpOperation::reply,
                                 .sender_mac = config_.mac,
                                 .sender = *config_.address,
                                 .target_mac = packet.sender_mac,
                                 .target = packet.sender,
                                 .vlan_id = config_.vlan_id}};
}

HostStep Host::on_echo(const wire::IcmpEchoView& echo) const {
  if (!for_us(echo.destination_mac) || !config_.is_own(echo.destination) ||
      echo.kind != wire::EchoKind::request || !config_.may_be_peer(echo.source))
    return {};
  if (wire::frame_bytes(echo) > config_.reply_bytes_max) return {};
  return {.kind = HostStep::Kind::answer_echo,
          .echo = wire::echo_reply(echo, way_back(echo.source, echo.source_mac))};
}

nic::MacAddress Host::way_back(const IpAddress& peer, const nic::MacAddress& came_from) const {
  if (!config_.gateway_for(peer) || config_.on_link(peer)) return came_from;
  const Neighbour gateway = neighbours_.gateway(peer.family());
  return gateway.usable() ? gateway.mac : came_from;
}

std::optional<IpAddress> Host::hop_of(const IpAddress& peer) const {
  // RFC 1122 §3.3.1.1, RFC 4861 §5.2.
  if (!config_.on_link(peer)) return config_.gateway_for(peer);
  return config_.may_be_peer(peer) ? std::optional(peer) : std::nullopt;
}

std::optional<nic::MacAddress> Host::next_hop(const IpAddress& peer) const {
  const std::optional<IpAddress> hop = hop_of(peer);
  if (!hop) return std::nullopt;
  // What a peer itself was proven to send from is newer than a stale entry. A gateway's entry is
  // kept fresh.
  const bool direct = config_.on_link(peer);
  const Neighbour neighbour = direct ? neighbours_.find(*hop) : neighbours_.gateway(peer.family());
  const bool sure = direct ? neighbour.state == NeighbourState::reachable : neighbour.usable();
  return sure ? std::optional(neighbour.mac) : std::nullopt;
}

Neighbour Host::neighbour_for(const IpAddress& peer) const {
  return config_.on_link(peer) ? neighbours_.find(peer) : neighbours_.gateway(peer.family());
}

std::optional<NeighbourRequest> Host::suspect_hop(const IpAddress& peer, Time now) {
  const std::optional<IpAddress> hop = hop_of(peer);
  return hop ? neighbours_.suspect(*hop, now) : std::nullopt;
}

std::optional<wire::ArpPacket> Host::suspect(const Ipv4Address& peer, Time now) {
  const std::optional<NeighbourRequest> request = suspect_hop(peer, now);
  if (!request) return std::nullopt;
  return arp_request(*request);
}

void Host::moved(const IpAddress& peer, const nic::MacAddress& mac, Time now) {
  if (config_.on_link(peer)) neighbours_.confirmed(peer, mac, now);
}

wire::ArpPacket Host::arp_request(const NeighbourRequest& request) const {
  return {.source_mac = config_.mac,
          .destination_mac = request.to,
          .operation = wire::ArpOperation::request,
          .sender_mac = config_.mac,
          .sender = *config_.address,
          .target_mac = {},
          .target = request.target.v4(),
          .vlan_id = config_.vlan_id};
}

wire::ArpPacket Host::announcement() const {
  return arp_request({.target = *config_.address, .to = wire::broadcast_mac});
}

}  // namespace strictsend::engine
