// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "nic/dpdk/plan.hpp"

struct rte_device;
struct rte_eth_txconf;
struct rte_mempool;

namespace strictsend::nic::dpdk {

class DmaRegion;

/// Told of a device's events, on DPDK's interrupt thread, which must not be kept.
class EthdevEvents {
 public:
  virtual void on_reset_wanted() = 0;
  /// It is gone, or somebody wants it back from us and waits (vfio asks again now and then).
  virtual void on_removed() = 0;

 protected:
  ~EthdevEvents() = default;
};

/// An ethdev port of DPDK's, found by name and owned from then on: configured, started, stopped,
/// closed. Not synchronised: `close` and `reset` are called when no queue is in use.
class Ethdev {
 public:
  /// The device that `spec` begins with the name of: one that EAL has probed, or else one that it
  /// is told to probe now ("0000:01:00.0", "net_tap1,iface=tap1").
  static Result<std::unique_ptr<Ethdev>> find(const std::string& spec);
  Ethdev(const Ethdev&) = delete;
  Ethdev& operator=(const Ethdev&) = delete;
  ~Ethdev();

  [[nodiscard]] const DeviceFacts& facts() const { return facts_; }
  [[nodiscard]] rte_device* device() const { return device_; }
  [[nodiscard]] std::uint16_t port_id() const { return port_id_; }
  [[nodiscard]] std::uint16_t queues() const { return queues_; }
  [[nodiscard]] std::uint16_t tx_descriptors() const { return tx_descriptors_; }
  [[nodiscard]] bool is_link_up() const;
  [[nodiscard]] std::vector<Statistic> extended_statistics() const;

  /// Settles how many descriptors each queue has, near what the driver's facts want.
  Result<void> choose_descriptors(const DriverFacts& driver);
  /// Configures and starts it, after `choose_descriptors`. `rx_pools` has a pool for each queue,
  /// and outlives the device.
  Result<void> start(const DevicePlan& plan, const DriverFacts& driver,
                     const std::vector<rte_mempool*>& rx_pools);
  /// Whether the bus has lost it. For drivers that raise no event.
  [[nodiscard]] bool is_removed() const;
  /// From now until `close`, during which the last event may still come.
  void tell_events(EthdevEvents& events);
  /// Stops, resets and starts it again as it was.
  Result<void> reset();
  /// What `close` unmaps once nothing reads it any more; outlives that.
  void unmap_when_closed(DmaRegion& region) { region_ = &region; }
  /// Stops it and gives it back to the driver. False: the driver refused, and the device may go on
  /// reading memory. Idempotent.
  bool close();
  /// Once it is closed: gives it back to its bus, so that whoever removes it (or binds another
  /// driver) need not wait for the process to end. It cannot be opened
  /// again then but by its name. Does nothing before it is closed, or if the driver did not let go.
  /// Never on DPDK's interrupt thread, for which it waits. Idempotent.
  void detach();
  /// What was configured for a queue, whatever had been asked for.
  [[nodiscard]] bool reports_each_descriptor() const { return reports_each_; }

  /// Descriptors of each receive queue.
  [[nodiscard]] std::uint16_t rx_descriptors() const { return rx_descriptors_; }

 private:
  explicit Ethdev(std::uint16_t port_id) : port_id_(port_id) {}
  Result<void> inspect();
  Result<void> configure();
  void hear_groups();
  Result<void> set_up_queues();
  int set_up_tx_queue(std::uint16_t queue, unsigned node, rte_eth_txconf& conf);
  [[nodiscard]] Result<void> failed(const char* operation, int result) const;

  void forget_events();
  void remove_from_bus();

  const std::uint16_t port_id_;
  DeviceFacts facts_;
  rte_device* device_ = nullptr;
  DevicePlan plan_;
  DriverFacts driver_;
  std::vector<rte_mempool*> rx_pools_;
  std::uint16_t queues_ = 0;
  std::uint16_t rx_descriptors_ = 512;
  std::uint16_t tx_descriptors_ = 512;
  bool reports_each_ = false;
  /// The port's life against readers of statistics, which come on threads of their own.
  mutable std::mutex mutex_;
  bool closed_ = false;
  bool let_go_ = true;  ///< what closing came to
  EthdevEvents* events_ = nullptr;
  DmaRegion* region_ = nullptr;
};

}  // namespace strictsend::nic::dpdk
