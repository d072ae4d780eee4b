// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "nic/dpdk/port.hpp"
#include "nic/port.hpp"

struct rte_mbuf;
struct rte_mempool;
struct rte_ring;

namespace strictsend::testing {

/// DPDK's port on a net_ring, and the rings' other ends: the test is the device. What tx_burst
/// hands over lies in `to_device` until the test takes and frees it, which completes it. Starts
/// EAL, for the process, with the first one. Everything must have been freed when it ends.
class RingPort {
 public:
  /// `offloads`: RTE_ETH_TX_OFFLOAD_* that the test does for the packets that it takes.
  RingPort(const nic::DmaMemory& memory, std::uint32_t queues = 1, unsigned ring_entries = 256,
           std::uint64_t offloads = 0, std::uint32_t mtu_bytes = 0,
           Duration hang_limit = nic::dpdk::TxWatchdog::limit_default);
  RingPort(const RingPort&) = delete;
  RingPort& operator=(const RingPort&) = delete;
  ~RingPort();

  [[nodiscard]] nic::dpdk::DpdkPort& port() { return *port_; }
  [[nodiscard]] const std::string& device_name() const { return device_; }
  [[nodiscard]] nic::Queue& queue(std::size_t index = 0) { return port_->queue(index); }
  /// Ends the port before the rings.
  void close() { port_.reset(); }

  /// The next packet on the way to the device, or nullptr. The caller frees it.
  [[nodiscard]] rte_mbuf* take(std::size_t queue = 0);
  /// As from the device; false: the ring is full.
  bool inject(const std::vector<std::byte>& frame, std::size_t queue = 0);

 private:
  std::vector<rte_ring*> to_device_;
  std::vector<rte_ring*> from_device_;
  rte_mempool* receive_pool_ = nullptr;
  std::string device_;
  std::unique_ptr<nic::dpdk::DpdkPort> port_;
};

}  // namespace strictsend::testing
