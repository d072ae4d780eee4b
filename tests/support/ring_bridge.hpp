// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "nic/sim/sim_port.hpp"
#include "tests/support/ring_port.hpp"
#include "tests/support/sim_engine.hpp"

namespace strictsend::testing {

/// DPDK's port on a net_ring whose other end is the simulated NIC: the mbufs that tx_burst hands
/// over are put under the simulated device's descriptors, which reads their memory as late as it
/// is told to, and are freed when that completes them. So the port's completions are those of a
/// device with late DMA, in virtual time. Offloads that the simulated device has are the port's.
///
/// `memory` goes beyond the simulated port's receive frames: there is room for headers that come in
/// an mbuf's own buffer, which the simulated device cannot reach.
class RingBridge final : public PortAdapter {
 public:
  struct Options {
    /// A lying driver: frees each packet as soon as it has taken it. For showing that this is seen.
    bool frees_early = false;
  };

  RingBridge(nic::SimPort& sim, const nic::DmaMemory& memory, const Options& options);

  [[nodiscard]] nic::Port& port() override { return ring_.port(); }
  void pump() override;
  void release() override;

 private:
  bool pass_on(rte_mbuf& chain);
  [[nodiscard]] nic::Fragment fragment_of(const rte_mbuf& piece, std::uint32_t cookie) const;
  void take_completions();
  void deliver_received();

  nic::SimPort& sim_;
  const nic::DmaMemory memory_;
  const Options options_;
  RingPort ring_;
  std::vector<rte_mbuf*> held_;  ///< by the simulated device, by cookie
  std::vector<std::uint32_t> cookies_;
  rte_mbuf* waiting_ = nullptr;  ///< dequeued, but the simulated ring is full
};

/// For SimEngine::Options::adapt.
MakeAdapter over_ring(RingBridge::Options options = {});

}  // namespace strictsend::testing
