// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/result.hpp"
#include "nic/port.hpp"
#include "nic/wire/ethernet_frame.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::engine {

/// What a host knows of its one interface, where no kernel stands behind the port: its own address
/// of each family, the network around it, and who forwards to all others. RFC 1122 §3.3.1.1,
/// RFC 4861 §5.2.
struct HostConfig {
  nic::MacAddress mac{};
  std::optional<Ipv4Address> address;  ///< this, address6, or both
  std::uint8_t prefix_bits = 24;
  std::optional<Ipv4Address> gateway;
  std::size_t reply_bytes_max = 0;  ///< of a frame: what a header buffer holds and the MTU allows
  std::optional<Ipv6Address> address6;
  std::uint8_t prefix6_bits = 64;
  std::optional<Ipv6Address> gateway6;
  wire::VlanId vlan_id;  ///< of all frames, both ways

  [[nodiscard]] bool is_own(const IpAddress& other) const;
  /// Whether the address is in the interface's network: its host is reached without a gateway. In
  /// IPv6 link-local addresses always are (RFC 4291 §2.5.6).
  [[nodiscard]] bool on_link(const IpAddress& other) const;
  /// Whether a packet may have this source: of a family that is spoken here, neither a group,
  /// loopback or unspecified address nor the network's own or broadcast address, nor ours, nor
  /// IPv4's in IPv6's form. RFC 1122 §3.2.1.3, RFC 4291 §2.5.2, §2.5.3 and §2.5.5.2.
  [[nodiscard]] bool may_be_peer(const IpAddress& other) const;
  [[nodiscard]] std::optional<IpAddress> gateway_for(const IpAddress& other) const;
};

/// What was asked for, checked for a port that leaves the interface to the engine. The hint says
/// what would be right.
Result<HostConfig> make_host_config(const EngineConfig& config, const nic::PortCapabilities& port);

}  // namespace strictsend::engine
