// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "nic/port.hpp"

namespace strictsend::nic::dpdk {

/// What a driver does and its capabilities do not say. Found in DPDK 22.11's sources
/// (drivers/net/…) and by trying; what is not known of a driver stays at the careful default.
struct DriverFacts {
  /// Asked for the newest descriptor, rte_eth_tx_descriptor_status says whether the device has
  /// read everything before it too. Needs tx_rs_thresh 1 where `report_each` says so: the status
  /// of a descriptor that reports nothing is that of a neighbour, which may be of an earlier round.
  bool newest_status_is_true = false;
  bool report_each = false;  ///< configure tx_rs_thresh 1
  /// tx_burst has read and freed what it took when it returns, so nothing is ever late.
  bool completes_in_burst = false;
  /// Freeing waits for the ring to fill up unless the threshold says "at once".
  bool free_eagerly = false;
  /// A closed port has no device behind it that could still read, even if mbufs were forgotten:
  /// hardware that is reset. Of others what was not called back stays quarantined.
  bool close_ends_dma = false;
  /// Packets come to several queues without RSS being configured.
  bool spreads_by_itself = false;
  /// The other end may be on this machine and leave checksums unfinished.
  bool peer_may_be_local = false;
  /// Its checksum offload is wrong for packets with a piece of odd length before the last one.
  bool sums_pieces_apart = false;
  /// No device, so that there is nothing to map for DMA.
  bool is_virtual = false;
  /// Stopped, it does not start again: a reset is no remedy for anything.
  bool stop_is_final = false;
  /// Stopped and started, it has the rings that it had, with what is in them: that gives back what
  /// is done, and heals nothing.
  bool start_keeps_rings = false;
  std::uint16_t tx_descriptors = 512;  ///< wanted, within what the device allows
};

/// By dev_info.driver_name. Pure; unknown names get the default.
[[nodiscard]] DriverFacts facts_of_driver(std::string_view driver_name);

}  // namespace strictsend::nic::dpdk
