// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "nic/dpdk/driver_facts.hpp"
#include "nic/dpdk/tx_watchdog.hpp"
#include "nic/port.hpp"

namespace strictsend::nic::dpdk {

/// What a device says of itself (rte_eth_dev_info and its neighbours), in plain numbers.
struct DeviceFacts {
  std::string name;
  std::string driver;
  MacAddress mac{};
  std::uint16_t mtu_bytes = 1500;
  std::uint16_t mtu_bytes_min = 68;
  std::uint16_t mtu_bytes_max = 0;  ///< 0: it does not say
  std::uint64_t rx_offloads = 0;    ///< RTE_ETH_RX_OFFLOAD_*
  std::uint64_t tx_offloads = 0;    ///< RTE_ETH_TX_OFFLOAD_*
  std::uint64_t rss_types = 0;      ///< RTE_ETH_RSS_*
  std::uint16_t rx_queues_max = 1;
  std::uint16_t tx_queues_max = 1;
  std::uint16_t segments_max = 0;         ///< of a packet for segmentation (nb_seg_max); 0: unknown
  std::uint16_t mtu_segments_max = 0;     ///< of any other packet (nb_mtu_seg_max); 0: unknown
  std::uint32_t rx_buffer_bytes_max = 0;  ///< 0: it does not say
};

/// What is asked of it.
struct DpdkConfig {
  std::string device;           ///< PCI address or the name of a virtual device
  std::uint32_t queues = 0;     ///< 0: one for each processor, as far as the device has them
  std::uint32_t mtu_bytes = 0;  ///< 0: as the device is
  bool want_checksum_offload = true;
  bool want_segmentation = true;
  /// RTE_ETH_TX_OFFLOAD_* that the driver knows nothing of, but whoever reads a net_ring's packets
  /// does: the ring carries the requests. (And on net_null nobody minds.)
  std::uint64_t consumer_tx_offloads = 0;
  Duration hang_limit = TxWatchdog::limit_default;  ///< without progress until it is reset
};

/// How it is configured, and what the port then can do.
struct DevicePlan {
  std::uint16_t queues = 1;
  std::uint16_t mtu_bytes = 1500;
  std::uint64_t rx_offloads = 0;
  std::uint64_t tx_offloads = 0;
  std::uint64_t rss_types = 0;      ///< 0: RSS is not used
  std::uint32_t rx_data_bytes = 0;  ///< room for a received frame in one mbuf
  PortCapabilities capabilities;
};

/// The choice, apart from doing it. Fails where what was asked for cannot be had. Pure.
[[nodiscard]] Result<DevicePlan> plan_device(const DpdkConfig& config, const DeviceFacts& device,
                                             const DriverFacts& driver, std::uint32_t processors);

}  // namespace strictsend::nic::dpdk
