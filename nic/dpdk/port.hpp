// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "nic/dpdk/dma_region.hpp"
#include "nic/dpdk/ethdev.hpp"
#include "nic/dpdk/mbuf_pool.hpp"
#include "nic/dpdk/port_state.hpp"
#include "nic/dpdk/queue.hpp"
#include "nic/dpdk/telemetry.hpp"
#include "nic/dpdk/watcher.hpp"
#include "nic/port.hpp"

namespace strictsend::nic::dpdk {

/// Owns what a port is made of; the end is the reverse of the order here, so that a device is
/// closed before the memory that it reads is unmapped.
class DpdkPort final : public Port, private TelemetrySource {
 public:
  struct Parts {
    std::vector<std::unique_ptr<MbufPool>> pools;
    std::unique_ptr<Ethdev> device;
    std::unique_ptr<DmaRegion> region;
  };
  /// `tx_pools` has a pool of `parts` for each queue.
  DpdkPort(Parts parts, const DevicePlan& plan, const DriverFacts& driver, const DmaMemory& memory,
           const std::vector<rte_mempool*>& tx_pools, std::uint32_t records_each,
           Duration hang_limit);
  DpdkPort(const DpdkPort&) = delete;
  DpdkPort& operator=(const DpdkPort&) = delete;
  ~DpdkPort() override;

  /// Starts watching link and resets.
  Result<void> watch();

  [[nodiscard]] const PortCapabilities& capabilities() const override { return capabilities_; }
  [[nodiscard]] std::size_t queue_count() const override { return queues_.size(); }
  [[nodiscard]] Queue& queue(std::size_t index) override { return *queues_.at(index); }
  [[nodiscard]] bool link_up() const override {
    return state_.link_up.load(std::memory_order_relaxed);
  }
  /// Everything comes to the queues already.
  Result<void> accept_flows(const FlowFilter&) override { return {}; }
  [[nodiscard]] std::vector<Statistic> device_statistics() const override {
    return parts_.device->extended_statistics();
  }
  [[nodiscard]] std::string failure() const override { return watcher_.failure(); }
  void show_statistics(const std::function<std::vector<Statistic>()>& source) override;

  /// Has the device stopped, reset and started again; as when it asks for that itself. Any thread.
  void request_reset() { watcher_.request_reset(); }
  [[nodiscard]] std::uint64_t resets() const { return watcher_.resets(); }
  /// Of those, because the device hung.
  [[nodiscard]] std::uint64_t hangs() const { return watcher_.hangs(); }
  [[nodiscard]] std::uint16_t port_id() const { return parts_.device->port_id(); }

 private:
  [[nodiscard]] const std::string& telemetry_name() const override {
    return parts_.device->facts().name;
  }
  [[nodiscard]] std::vector<Statistic> telemetry_port() const override;
  [[nodiscard]] std::vector<Statistic> telemetry_device() const override {
    return device_statistics();
  }
  [[nodiscard]] std::size_t telemetry_queues() const override { return queues_.size(); }
  [[nodiscard]] std::vector<Statistic> telemetry_queue(std::size_t index) const override;
  [[nodiscard]] std::vector<Statistic> telemetry_engine() const override;

  Parts parts_;
  PortCapabilities capabilities_;
  PortState state_;
  std::vector<std::unique_ptr<DpdkQueue>> queues_;
  mutable std::mutex engine_mutex_;
  std::function<std::vector<Statistic>()> engine_statistics_;
  Watcher watcher_;
};

}  // namespace strictsend::nic::dpdk
