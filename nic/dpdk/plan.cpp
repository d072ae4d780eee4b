// SPDX-License-Identifier: Apache-2.0
#include "nic/dpdk/plan.hpp"

#include <algorithm>
#include <cerrno>
#include <rte_ethdev.h>

namespace strictsend::nic::dpdk {
namespace {

constexpr std::uint32_t ethernet_bytes = 14;
constexpr std::uint32_t vlan_bytes_max = 8;
constexpr std::uint32_t ip_bytes_max = 65535;
/// A header and 64 KiB of pages from any offset.
constexpr std::uint32_t fragments_wanted = 18;

/// Where a device names no limit. Linux drivers take 17 fragments and a header of any packet, and
/// hardware follows them; for a plain packet a few are enough for jumbo frames.
constexpr std::uint32_t fragments_of(std::uint16_t limit) {
  return limit == 0 ? fragments_wanted : std::min<std::uint32_t>(limit, fragments_wanted);
}

Result<std::uint16_t> choose_queues(const DpdkConfig& config, const DeviceFacts& device,
                                    const DriverFacts& driver, std::uint32_t processors) {
  const std::uint32_t has = std::min(device.rx_queues_max, device.tx_queues_max);
  const bool spreads = driver.spreads_by_itself || device.rss_types != 0;
  if (config.queues == 0)
    return static_cast<std::uint16_t>(spreads ? std::clamp<std::uint32_t>(processors, 1, has) : 1);
  const std::string operation =
      "taking " + std::to_string(config.queues) + " queues of " + device.name;
  if (config.queues > has)
    return fail(operation, EINVAL,
                "its driver " + device.driver + " has " + std::to_string(has) +
                    " queue pairs: ask for at most as many (--queues)");
  if (config.queues > 1 && !spreads)
    return fail(operation, ENOTSUP,
                "its driver " + device.driver +
                    " does not spread connections over queues (no RSS): use --queues 1");
  return static_cast<std::uint16_t>(config.queues);
}

Result<std::uint16_t> choose_mtu(const DpdkConfig& config, const DeviceFacts& device) {
  if (config.mtu_bytes == 0) return device.mtu_bytes;
  const std::uint32_t most = device.mtu_bytes_max != 0 ? device.mtu_bytes_max : 9000;
  if (config.mtu_bytes < device.mtu_bytes_min || config.mtu_bytes > most)
    return fail("setting the MTU of " + device.name, EINVAL,
                "its driver " + device.driver + " takes " + std::to_string(device.mtu_bytes_min) +
                    " to " + std::to_string(most) + " bytes");
  return static_cast<std::uint16_t>(config.mtu_bytes);
}

std::string describe(const DpdkConfig& config, const DeviceFacts& device, const DevicePlan& plan) {
  const PortCapabilities& can = plan.capabilities;
  std::string text = "dpdk:" + device.name + " (" + device.driver;
  text += plan.queues == 1 ? ", 1 queue" : ", " + std::to_string(plan.queues) + " queues";
  if (plan.queues > 1) text += plan.rss_types != 0 ? " by RSS" : "";
  text += can.max_fragments > 1 ? ", up to " + std::to_string(can.max_fragments) + " fragments"
                                : ", linear packets: the driver takes one segment a packet";
  if (can.segmented_bytes_max > 0) text += ", segmentation offload";
  text += can.checksum_offload            ? ", checksum offload"
          : !config.want_checksum_offload ? ", software checksums as configured"
                                          : ", software checksums";
  return text + ")";
}

}  // namespace

Result<DevicePlan> plan_device(const DpdkConfig& config, const DeviceFacts& device,
                               const DriverFacts& driver, std::uint32_t processors) {
  DevicePlan plan;
  Result<std::uint16_t> queues = choose_queues(config, device, driver, processors);
  if (!queues) return tl::unexpected(std::move(queues.error()));
  plan.queues = *queues;
  Result<std::uint16_t> mtu = choose_mtu(config, device);
  if (!mtu) return tl::unexpected(std::move(mtu.error()));
  plan.mtu_bytes = *mtu;
  if (plan.queues > 1)
    plan.rss_types = device.rss_types & (RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_TCP |
                                         RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_NONFRAG_IPV6_TCP);

  plan.rx_offloads =
      device.rx_offloads & (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM);
  constexpr std::uint64_t checksums = RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
  constexpr std::uint64_t segmentation = RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
  const std::uint64_t offered = device.tx_offloads | config.consumer_tx_offloads;
  const bool several = (offered & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) != 0;
  const bool sums = config.want_checksum_offload && !driver.sums_pieces_apart &&
                    (offered & checksums) == checksums;
  // One piece for the headers and one for payload at least.
  const bool cuts = device.segments_max != 1 && config.want_segmentation && several && sums &&
                    (offered & segmentation) == segmentation;
  plan.tx_offloads = device.tx_offloads & ((several ? RTE_ETH_TX_OFFLOAD_MULTI_SEGS : 0) |
                                           (sums ? checksums : 0) | (cuts ? segmentation : 0));
  // Whole KiB, and two at least: NICs take buffers in those units and would spread a longer frame
  // over several, and some drivers refuse less.
  const std::uint32_t frame_bytes = ethernet_bytes + vlan_bytes_max + plan.mtu_bytes;
  plan.rx_data_bytes = std::max((frame_bytes + 1023U) / 1024U * 1024U, 2048U);
  if (device.rx_buffer_bytes_max != 0)
    plan.rx_data_bytes = std::min(plan.rx_data_bytes, device.rx_buffer_bytes_max);

  PortCapabilities& can = plan.capabilities;
  can.driver = device.driver;
  can.mac = device.mac;
  can.mtu_bytes = plan.mtu_bytes;
  can.max_fragments = several ? fragments_of(device.mtu_segments_max) : 1;
  can.max_fragment_bytes = static_cast<std::uint32_t>(page_bytes);
  // The arena is contiguous in virtual addresses, and so on the bus behind an IOMMU; but emulated
  // NICs drop packets whose segments cross pages, and a split costs a descriptor in a few packets.
  can.fragment_crosses_page = false;
  can.max_receive_bytes = plan.rx_data_bytes;
  can.checksum_offload = sums;
  if (cuts) {
    can.segmented_bytes_max = ip_bytes_max;
    // The headers are an mbuf of their own, even where payload follows them in their fragment.
    can.segmented_fragments_max =
        device.segments_max == 0
            ? fragments_wanted
            : std::min<std::uint32_t>(device.segments_max - 1U, fragments_wanted);
  }
  can.late_completion = !driver.completes_in_burst && !driver.newest_status_is_true;
  can.owns_interface = true;
  can.queues_stop_together = plan.queues > 1;
  can.description = describe(config, device, plan);
  return plan;
}

}  // namespace strictsend::nic::dpdk
