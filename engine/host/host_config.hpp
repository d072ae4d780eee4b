// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/result.hpp"
#include "nic/port.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::engine {

/// What an IPv4 host knows of its one interface, where no kernel stands behind the port: its own
/// address, the network around it, and who forwards to all others. RFC 1122 §3.3.1.1.
struct HostConfig {
  nic::MacAddress mac{};
  Ipv4Address address{};
  std::uint8_t prefix_bits = 24;
  std::optional<Ipv4Address> gateway;
  std::size_t reply_bytes_max = 0;  ///< of a frame: what a header buffer holds and the MTU allows

  /// Whether the address is in the interface's network: its host is reached without a gateway.
  [[nodiscard]] bool on_link(const Ipv4Address& other) const;
  /// Whether a packet may have this source: neither a group, loopback or unspecified address nor
  /// the network's own or broadcast address, nor ours. RFC 1122 §3.2.1.3.
  [[nodiscard]] bool may_be_peer(const Ipv4Address& other) const;
};

/// What was asked for, checked for a port that leaves the interface to the engine. The hint says
/// what would be right.
Result<HostConfig> make_host_config(const EngineConfig& config, const nic::PortCapabilities& port);

}  // namespace strictsend::engine
