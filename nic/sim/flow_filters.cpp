// SPDX-License-Identifier: Apache-2.0
#include "nic/sim/flow_filters.hpp"

#include <algorithm>

#include "nic/wire/layout.hpp"

namespace strictsend::nic {

bool FlowFilters::accept(std::span<const std::byte> frame) const {
  if (frame.size() < wire::ethernet_bytes + wire::ipv4_bytes_min) return false;
  const auto ethernet = wire::load<wire::EthernetLayout>(frame.data());
  const auto ip = wire::load<wire::Ipv4Layout>(frame.data() + wire::ethernet_bytes);
  if (ethernet.ether_type.get() != wire::ether_type_ipv4 || ip.version_ihl >> 4 != 4 ||
      ip.protocol != wire::protocol_tcp)
    return false;
  const std::size_t tcp_begin = wire::ethernet_bytes + std::size_t{ip.version_ihl & 0xfU} * 4;
  if (frame.size() < tcp_begin + wire::tcp_bytes_min) return false;
  const auto tcp = wire::load<wire::TcpLayout>(frame.data() + tcp_begin);
  return std::ranges::any_of(filters_, [&](const FlowFilter& filter) {
    return filter.ipv4_address == ip.destination && filter.tcp_port == tcp.destination_port.get();
  });
}

}  // namespace strictsend::nic
