// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "nic/dpdk/driver_facts.hpp"
#include "nic/dpdk/port_state.hpp"
#include "nic/dpdk/tx_records.hpp"
#include "nic/live_counters.hpp"
#include "nic/port.hpp"

struct rte_mempool;

namespace strictsend::nic::dpdk {

class Ethdev;

/// One receive/transmit queue pair of an ethdev. Owned by the port; every call is the engine
/// thread's, which becomes a registered DPDK thread with its first one.
///
/// A packet is a chain of mbufs, each attached to a piece of the DMA memory as an external buffer,
/// all sharing one TxRecord. `transmit` stages chains, `kick` hands them to tx_burst; what
/// that does not take stays staged, and is the port's all the same.
class DpdkQueue final : public Queue {
 public:
  /// Everything given outlives the queue.
  DpdkQueue(Ethdev& device, std::uint16_t index, const DriverFacts& driver, PortState& state,
            const PortCapabilities& capabilities, const DmaMemory& memory, rte_mempool* tx_pool,
            std::uint32_t records);
  DpdkQueue(const DpdkQueue&) = delete;
  DpdkQueue& operator=(const DpdkQueue&) = delete;
  ~DpdkQueue() override;

  std::size_t transmit(std::span<const TxPacket> packets) override;
  int kick() override;
  int health() override {
    return state_.phase.load(std::memory_order_relaxed) == PortState::Phase::lost ? ENODEV : 0;
  }
  /// Has the device reset, where completions do not come by themselves; where they do, the watcher
  /// has seen by itself that they are overdue.
  void hurry() override {
    if (capabilities_.late_completion) state_.hurried.store(true, std::memory_order_relaxed);
  }
  std::size_t reap(std::span<TxCompletion> completions) override;
  std::size_t receive(std::span<RxPacket> packets) override;
  void release_received() override;
  [[nodiscard]] int wait_fd() const override { return -1; }
  bool arm_wait() override { return true; }
  void stop() override;
  [[nodiscard]] const QueueCounters& counters() const override {
    return shown_ = counters_.values();
  }
  /// The same for any thread.
  [[nodiscard]] QueueCounters counters_now() const { return counters_.values(); }

  [[nodiscard]] std::uint64_t memory_bytes() const;
  /// Packets whose records DPDK has not called back for; after the port was closed those are
  /// somebody else's (a net_ring's consumer) or were forgotten by the driver.
  [[nodiscard]] std::uint32_t with_dpdk() const { return records_->with_dpdk(); }

 private:
  static constexpr std::size_t burst = 64;

  /// Whether the device may be used now; otherwise the thread is known to be out of it.
  [[nodiscard]] bool enter();
  void step_aside();
  /// A packet as mbufs, or nullptr while there are none left.
  [[nodiscard]] rte_mbuf* chain(const TxPacket& packet);
  void attach(rte_mbuf& mbuf, const Fragment& fragment, TxRecord& record) const;
  void flush();
  void reject(rte_mbuf* packet);
  /// Shows the watcher where transmission stands.
  void show_sight();
  std::size_t reclaim_idle(std::span<TxCompletion> completions);

  Ethdev& device_;
  const std::uint16_t index_;
  const DriverFacts driver_;
  PortState& state_;
  const PortCapabilities& capabilities_;
  const DmaMemory memory_;
  rte_mempool* tx_pool_;
  std::unique_ptr<TxRecords> records_;

  std::array<rte_mbuf*, burst> staged_{};  ///< taken and not yet handed to the device
  std::size_t staged_count_ = 0;
  std::array<rte_mbuf*, burst> held_{};  ///< received packets that the caller looks at
  std::size_t held_count_ = 0;
  std::uint32_t refusals_ = 0;
  std::uint64_t turns_ = 0;       ///< kicks that found the device running
  bool staged_requests_ = false;  ///< some staged packet asks the device for something
  bool entered_ = false;
  bool registered_ = false;  ///< the thread, by this queue
  bool aside_ = false;       ///< what state_.aside says
  bool stopped_ = false;
  LiveCounters counters_;
  mutable QueueCounters shown_;  ///< what `counters` gave out
};

}  // namespace strictsend::nic::dpdk
