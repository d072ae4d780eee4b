// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "nic/port.hpp"

namespace strictsend::nic {

struct OpenPortOptions {
  std::string spec;  ///< "BACKEND:DEVICE", as on the command line: "af_xdp:eth0", "discard:"
  std::vector<std::string> arguments;    ///< of the backend; DPDK's go to its EAL
  std::uint32_t queues = 1;              ///< to be served; 0: as many as the device has
  std::uint32_t mtu_bytes = 0;           ///< to be set, where no kernel does; 0: as it is
  std::optional<std::uint16_t> vlan_id;  ///< to be used on it: whose addresses are asked for
  bool checksum_offload = true;          ///< to be used where the device has it
  bool segmentation_offload = true;      ///< likewise; needs the former
  DmaMemory memory;                      ///< its receive frames are dealt out to the queues evenly
  std::string pcap_path;                 ///< record every packet there; empty: no recording
};

struct OpenedPort {
  std::unique_ptr<Port> port;
  /// The addresses that the system has given the device, or the VLAN device on top of it: the first
  /// IPv4 one, and the first IPv6 one, of global scope where there is such a one (RFC 4291 §2.5).
  std::optional<Ipv4Address> ipv4_address;
  std::optional<Ipv6Address> ipv6_address;
};

/// How many queues `open_port` would serve with these options, whose memory is not looked at: known
/// before there is any, because each queue wants its share. Fails where the device has not as many
/// as are asked for. Set-up thread.
Result<std::uint32_t> queues_to_serve(const OpenPortOptions& options);

/// Opens the port that a specification names: the one place that knows the backends. Set-up thread.
Result<OpenedPort> open_port(const OpenPortOptions& options);

/// As the public function of that name says (strictsend/engine.hpp). Set-up thread.
Result<bool> clear_interface(const std::string& spec);

}  // namespace strictsend::nic
