// SPDX-License-Identifier: Apache-2.0
// Neighbour discovery, IPv6's ARP: RFC 4861 §7.2, and of RFC 4862 that others find our address
// taken.
#include "engine/host/host.hpp"

namespace strictsend::engine {

using wire::NeighbourKind;
using wire::NeighbourPacket;

bool Host::for_us(const NeighbourPacket& packet) const {
  const Ipv6Address& to = packet.destination;
  if (to == *config_.address6) return for_us(packet.destination_mac);
  if (to != wire::all_nodes_v6 && to != wire::solicited_node(*config_.address6)) return false;
  return packet.destination_mac == wire::multicast_mac(to);
}

HostStep Host::on_neighbour(const NeighbourPacket& packet, Time now) {
  if (!config_.address6 || !for_us(packet)) return {};
  return packet.kind == NeighbourKind::solicitation ? on_solicitation(packet, now)
                                                    : on_advertisement(packet, now);
}

HostStep Host::on_solicitation(const NeighbourPacket& packet, Time now) {
  const bool probe = packet.source == wire::unspecified_v6;
  // Our own, come back by a loop in the network (RFC 4862 §5.4.3).
  if (packet.source_mac == config_.mac && (probe || packet.source == *config_.address6)) return {};
  if (packet.source == *config_.address6) {
    HostStep step{.kind = HostStep::Kind::conflict};
    if (may_defend(AddressFamily::ipv6, now)) step.neighbour = advertisement_to_all();
    return step;
  }
  if (packet.link_address) neighbours_.heard(packet.source, *packet.link_address, false, now);
  if (packet.target != *config_.address6) return {.kind = HostStep::Kind::heard};
  // RFC 4861 §7.2.4: to everybody, if who asks has no address yet because it wants ours.
  NeighbourPacket answer = advertisement_to_all();
  if (!probe) {
    answer.destination = packet.source;
    answer.destination_mac = packet.link_address.value_or(packet.source_mac);
    answer.solicited = true;
  }
  return {.kind = HostStep::Kind::answer_request, .neighbour = answer};
}

HostStep Host::on_advertisement(const NeighbourPacket& packet, Time now) {
  if (packet.target == *config_.address6) {
    if (packet.source_mac == config_.mac) return {};
    HostStep step{.kind = HostStep::Kind::conflict};
    if (may_defend(AddressFamily::ipv6, now)) step.neighbour = advertisement_to_all();
    return step;
  }
  neighbours_.claimed(
      packet.target,
      {.mac = packet.link_address, .solicited = packet.solicited, .overrides = packet.overrides},
      now);
  return {.kind = HostStep::Kind::heard};
}

std::optional<NeighbourPacket> Host::suspect(const Ipv6Address& peer, Time now) {
  const std::optional<NeighbourRequest> request = suspect_hop(peer, now);
  if (!request) return std::nullopt;
  return solicitation(*request);
}

NeighbourPacket Host::solicitation(const NeighbourRequest& request) const {
  const Ipv6Address& target = request.target.v6();
  const Ipv6Address group = wire::solicited_node(target);
  // RFC 4861 §7.2.2 and, of a poll to the one whom we know, §7.3.3.
  const bool to_all = request.to == wire::multicast_mac(group);
  return {.source_mac = config_.mac,
          .destination_mac = request.to,
          .vlan_id = config_.vlan_id,
          .source = *config_.address6,
          .destination = to_all ? group : target,
          .kind = NeighbourKind::solicitation,
          .target = target,
          .link_address = config_.mac};
}

NeighbourPacket Host::advertisement_to_all() const {
  return {.source_mac = config_.mac,
          .destination_mac = wire::multicast_mac(wire::all_nodes_v6),
          .vlan_id = config_.vlan_id,
          .source = *config_.address6,
          .destination = wire::all_nodes_v6,
          .kind = NeighbourKind::advertisement,
          .target = *config_.address6,
          .overrides = true,
          .link_address = config_.mac};
}

NeighbourPacket Host::duplicate_probe() const {
  const Ipv6Address group = wire::solicited_node(*config_.address6);
  return {.source_mac = config_.mac,
          .destination_mac = wire::multicast_mac(group),
          .vlan_id = config_.vlan_id,
          .source = wire::unspecified_v6,
          .destination = group,
          .kind = NeighbourKind::solicitation,
          .target = *config_.address6};
}

}  // namespace strictsend::engine
