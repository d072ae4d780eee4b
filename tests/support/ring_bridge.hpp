// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "nic/sim/sim_port.hpp"
#include "tests/support/sim_engine.hpp"

struct rte_mbuf;
struct rte_mempool;
struct rte_ring;

namespace strictsend::testing {

/// DPDK's port on a net_ring whose other end is the simulated NIC: the mbufs that tx_burst hands
/// over are put under the simulated device's descriptors, which reads their memory as late as it
/// is told to, and are freed when that completes them. So the port's completions are those of a
/// device with late DMA, in virtual time.
class RingBridge final : public PortAdapter {
 public:
  struct Options {
    /// A lying driver: frees each packet as soon as it has taken it. For showing that this is seen.
    bool frees_early = false;
  };

  /// Starts EAL for the process with the first one.
  RingBridge(nic::SimPort& sim, const nic::DmaMemory& memory, const Options& options);
  ~RingBridge() override;

  [[nodiscard]] nic::Port& port() override { return *port_; }
  void pump() override;
  void release() override;

  [[nodiscard]] std::uint64_t packets_passed() const { return packets_passed_; }

 private:
  bool pass_on(rte_mbuf& chain);
  void take_completions();
  void deliver_received();

  nic::SimPort& sim_;
  const nic::DmaMemory memory_;
  const Options options_;
  std::string name_;
  rte_ring* to_device_ = nullptr;
  rte_ring* from_device_ = nullptr;
  rte_mempool* receive_pool_ = nullptr;
  std::unique_ptr<nic::Port> port_;
  std::vector<rte_mbuf*> held_;  ///< by the simulated device, by cookie
  std::vector<std::uint32_t> cookies_;
  rte_mbuf* waiting_ = nullptr;  ///< dequeued, but the simulated ring is full
  std::uint64_t packets_passed_ = 0;
};

/// For SimEngine::Options::adapt.
MakeAdapter over_ring(RingBridge::Options options = {});

}  // namespace strictsend::testing
