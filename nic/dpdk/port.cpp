// SPDX-License-Identifier: Apache-2.0
#include "nic/dpdk/port.hpp"

#include <algorithm>
#include <rte_memory.h>
#include <utility>

namespace strictsend::nic::dpdk {

DpdkPort::DpdkPort(Parts parts, const DevicePlan& plan, const DriverFacts& driver,
                   const DmaMemory& memory, const std::vector<rte_mempool*>& tx_pools,
                   std::uint32_t records_each, Duration hang_limit)
    : parts_(std::move(parts)),
      capabilities_(plan.capabilities),
      state_(plan.queues),
      watcher_(*parts_.device, state_,
               {.completes_by_itself = !plan.capabilities.late_completion,
                .can_reset = !driver.stop_is_final,
                .reset_heals = !driver.start_keeps_rings,
                .hang_limit = hang_limit}) {
  parts_.device->unmap_when_closed(*parts_.region);
  for (std::uint16_t i = 0; i < plan.queues; ++i) {
    queues_.push_back(std::make_unique<DpdkQueue>(*parts_.device, i, driver, state_, capabilities_,
                                                  memory, tx_pools[i], records_each));
    capabilities_.memory_bytes += queues_.back()->memory_bytes();
  }
  // What EAL has reserved holds the pools, and belongs to nobody else.
  std::uint64_t pool_bytes = 0;
  for (const auto& pool : parts_.pools)
    pool_bytes += pool->memory_bytes();
  capabilities_.memory_bytes += std::max<std::uint64_t>(pool_bytes, rte_eal_get_physmem_size());
}

DpdkPort::~DpdkPort() {
  hide_telemetry(*this);
  // The engine threads have ended, whether or not they came so far as to stop their queues.
  state_.let_go.store(parts_.device->close(), std::memory_order_relaxed);
  state_.phase.store(PortState::Phase::closed, std::memory_order_seq_cst);
  watcher_.stop();
}

Result<void> DpdkPort::watch() {
  if (Result<void> started = watcher_.start(); !started) return started;
  show_telemetry(*this);
  return {};
}

void DpdkPort::show_statistics(const std::function<std::vector<Statistic>()>& source) {
  const std::lock_guard lock(engine_mutex_);
  engine_statistics_ = source;
}

std::vector<Statistic> DpdkPort::telemetry_engine() const {
  const std::lock_guard lock(engine_mutex_);
  return engine_statistics_ ? engine_statistics_() : std::vector<Statistic>{};
}

std::vector<Statistic> DpdkPort::telemetry_port() const {
  const PortCapabilities& can = capabilities_;
  return {{"queues", queues_.size()},
          {"mtu_bytes", can.mtu_bytes},
          {"link_up", link_up() ? 1U : 0U},
          {"max_fragments", can.max_fragments},
          {"checksum_offload", can.checksum_offload ? 1U : 0U},
          {"segmented_bytes_max", can.segmented_bytes_max},
          {"late_completion", can.late_completion ? 1U : 0U},
          {"memory_bytes", can.memory_bytes},
          {"resets", resets()},
          {"hangs", hangs()}};
}

std::vector<Statistic> DpdkPort::telemetry_queue(std::size_t index) const {
  const QueueCounters counters = queues_[index]->counters_now();
  return {{"tx_packets", counters.tx_packets},
          {"tx_bytes", counters.tx_bytes},
          {"tx_completions", counters.tx_completions},
          {"tx_dropped", counters.tx_dropped},
          {"tx_kicks", counters.tx_kicks},
          {"rx_packets", counters.rx_packets},
          {"rx_bytes", counters.rx_bytes},
          {"rx_dropped", counters.rx_dropped},
          {"tx_invalid_descriptors", counters.tx_invalid_descriptors},
          {"unexpected_completions", counters.unexpected_completions}};
}

}  // namespace strictsend::nic::dpdk
