// SPDX-License-Identifier: Apache-2.0
#include "nic/sim/flow_filters.hpp"

#include <algorithm>
#include <optional>

#include "nic/wire/ethernet_frame.hpp"
#include "nic/wire/icmp_error.hpp"
#include "nic/wire/layout.hpp"

namespace strictsend::nic {
namespace {

/// Where a TCP segment goes: what is looked for in the filters.
std::optional<FlowFilter> destination_of(std::span<const std::byte> frame) {
  const auto ethernet = wire::parse_ethernet(frame);
  if (!ethernet) return std::nullopt;
  const std::span<const std::byte> packet = ethernet->payload;
  FlowFilter to{.vlan_id = ethernet->vlan_id};
  std::size_t tcp_begin = 0;
  if (ethernet->ether_type == wire::ether_type_ipv4 && packet.size() >= wire::ipv4_bytes_min) {
    const auto ip = wire::load<wire::Ipv4Layout>(packet.data());
    if (ip.version_ihl >> 4 != 4 || ip.protocol != wire::protocol_tcp) return std::nullopt;
    tcp_begin = std::size_t{ip.version_ihl & 0xfU} * 4;
    to.address = ip.destination;
  } else if (ethernet->ether_type == wire::ether_type_ipv6 && packet.size() >= wire::ipv6_bytes) {
    const auto ip = wire::load<wire::Ipv6Layout>(packet.data());
    if (ip.next_header != wire::protocol_tcp) return std::nullopt;
    tcp_begin = wire::ipv6_bytes;
    to.address = ip.destination;
  } else {
    return std::nullopt;
  }
  if (packet.size() < tcp_begin + wire::tcp_bytes_min) return std::nullopt;
  to.tcp_port = wire::load<wire::TcpLayout>(packet.data() + tcp_begin).destination_port.get();
  return to;
}

}  // namespace

bool FlowFilters::accept(std::span<const std::byte> frame) const {
  const auto has = [this](const FlowFilter& to) {
    return std::ranges::find(filters_, to) != filters_.end();
  };
  if (const auto to = destination_of(frame)) return has(*to);
  const auto too_big = wire::parse_packet_too_big(frame);
  return too_big && has({.address = too_big->source,
                         .tcp_port = too_big->source_port,
                         .vlan_id = too_big->vlan_id});
}

}  // namespace strictsend::nic
