// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "nic/port.hpp"

namespace strictsend::nic::af_xdp {

/// What the kernel says about an interface's AF_XDP abilities: the netdev netlink family, since
/// Linux 6.3. Absent on older kernels, which means "unknown".
struct NetdevFeatures {
  bool native_xdp = false;  ///< programs run in the driver
  bool zero_copy = false;
  std::uint32_t zero_copy_max_segments = 1;  ///< descriptors of one packet in zero-copy mode
  bool tx_checksum = false;                  ///< checksum metadata in zero-copy mode
};

/// An interface of the calling thread's network namespace, as it is when looked at.
struct InterfaceFacts {
  std::string name;
  std::uint32_t index = 0;
  MacAddress mac{};
  std::uint32_t mtu_bytes = 0;
  std::string driver;           ///< "veth"; empty where the driver does not say
  std::uint32_t rx_queues = 0;  ///< in use; 0: the driver does not say
  std::optional<NetdevFeatures> features;
};

/// Drivers that set IFF_TX_SKB_NO_LINEAR: copy mode then attaches the UMEM's pages to the sk_buff,
/// and the device reads them when it gets to it (net/xdp/xsk.c, xsk_build_skb_zerocopy).
[[nodiscard]] bool takes_pages(const InterfaceFacts& facts);

Result<InterfaceFacts> inspect_interface(const std::string& name);

/// The kernel's VLAN device on top of an interface.
[[nodiscard]] std::optional<std::string> vlan_device(const std::string& name,
                                                     std::uint16_t vlan_id);

/// Up, and with a carrier. Cheap enough to be asked now and then; false for one that is gone.
[[nodiscard]] bool interface_is_running(const std::string& name);

}  // namespace strictsend::nic::af_xdp
