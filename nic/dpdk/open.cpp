// SPDX-License-Identifier: Apache-2.0
#include "nic/dpdk/open.hpp"

#include <cerrno>
#include <rte_ethdev.h>
#include <sched.h>
#include <utility>

#include <fmt/format.h>

#include "nic/dpdk/eal.hpp"
#include "nic/dpdk/port.hpp"

namespace strictsend::nic::dpdk {
namespace {

/// Packets staged while the ring is full, over what the ring holds.
constexpr std::uint32_t packets_beyond_ring = 128;
/// Ethernet with a tag, IP and TCP with all options.
constexpr std::uint32_t header_bytes_max = 18 + 60 + 60;
/// Mbufs per packet that are there for sure; with more fragments in each, fewer packets are out.
constexpr std::uint32_t mbufs_per_packet = 4;

std::uint32_t usable_processors() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<std::uint32_t>(CPU_COUNT(&set));
}

/// The driver's facts as this device was really configured.
DriverFacts confirmed(DriverFacts driver, const Ethdev& device) {
  if (driver.report_each && !device.reports_each_descriptor()) driver.newest_status_is_true = false;
  return driver;
}

struct Found {
  std::unique_ptr<Ethdev> device;
  DriverFacts driver;
  DevicePlan plan;
};

Result<Found> find_device(const DpdkConfig& config, const std::vector<std::string>& eal_arguments) {
  if (config.device.empty()) {
    return fail("open NIC", EINVAL,
                "name the device: dpdk:0000:01:00.0 (dpdk-devbind.py -s lists them), or a virtual "
                "one such as dpdk:net_tap0");
  }
  if (auto started = start_eal(eal_arguments); !started) return tl::unexpected(started.error());
  auto device = Ethdev::find(config.device);
  if (!device) return tl::unexpected(std::move(device.error()));
  const DeviceFacts& facts = (*device)->facts();
  const DriverFacts driver = facts_of_driver(facts.driver);
  auto plan = plan_device(config, facts, driver, usable_processors());
  if (!plan) return tl::unexpected(std::move(plan.error()));
  return Found{std::move(*device), driver, std::move(*plan)};
}

}  // namespace

Result<std::uint32_t> queues_to_serve(const DpdkConfig& config,
                                      const std::vector<std::string>& eal_arguments) {
  const Result<Found> found = find_device(config, eal_arguments);
  if (!found) return tl::unexpected(found.error());
  return found->plan.queues;
}

Result<std::unique_ptr<DpdkPort>> open_dpdk_port(const DpdkConfig& config,
                                                 const std::vector<std::string>& eal_arguments,
                                                 const DmaMemory& memory) {
  Result<Found> device = find_device(config, eal_arguments);
  if (!device) return tl::unexpected(std::move(device.error()));
  DevicePlan& plan = device->plan;
  const DriverFacts& driver = device->driver;
  DpdkPort::Parts parts;
  parts.device = std::move(device->device);
  const DeviceFacts& facts = parts.device->facts();

  auto region =
      DmaRegion::map(memory, parts.device->device(), facts.name.c_str(), driver.is_virtual);
  if (!region) return tl::unexpected(std::move(region.error()));
  parts.region = std::move(*region);

  if (auto chosen = parts.device->choose_descriptors(driver); !chosen)
    return tl::unexpected(chosen.error());
  const std::uint32_t packets_each = parts.device->tx_descriptors() + packets_beyond_ring;
  const std::uint32_t rx_mbufs = 2U * parts.device->rx_descriptors();
  const int socket = rte_eth_dev_socket_id(parts.device->port_id());
  std::vector<rte_mempool*> rx_pools;
  std::vector<rte_mempool*> tx_pools;
  for (std::uint16_t i = 0; i < plan.queues; ++i) {
    const std::string suffix = fmt::format("-{}-{}", parts.device->port_id(), i);
    auto rx = MbufPool::create("strictsend-rx" + suffix, rx_mbufs, plan.rx_data_bytes, socket);
    if (!rx) return tl::unexpected(std::move(rx.error()));
    auto tx = MbufPool::create("strictsend-tx" + suffix, packets_each * mbufs_per_packet,
                               header_bytes_max, socket);
    if (!tx) return tl::unexpected(std::move(tx.error()));
    rx_pools.push_back((*rx)->get());
    tx_pools.push_back((*tx)->get());
    parts.pools.push_back(std::move(*rx));
    parts.pools.push_back(std::move(*tx));
  }
  if (auto done = parts.device->start(plan, driver, rx_pools); !done)
    return tl::unexpected(done.error());
  const DriverFacts found = confirmed(driver, *parts.device);
  plan.capabilities.late_completion = !found.completes_in_burst && !found.newest_status_is_true;
  auto port = std::make_unique<DpdkPort>(std::move(parts), plan, found, memory, tx_pools,
                                         packets_each, config.hang_limit);
  if (auto done = port->watch(); !done) return tl::unexpected(done.error());
  return port;
}

Result<std::unique_ptr<Port>> open_port(const DpdkConfig& config,
                                        const std::vector<std::string>& eal_arguments,
                                        const DmaMemory& memory) {
  auto port = open_dpdk_port(config, eal_arguments, memory);
  if (!port) return tl::unexpected(std::move(port.error()));
  return std::unique_ptr<Port>(std::move(*port));
}

}  // namespace strictsend::nic::dpdk
