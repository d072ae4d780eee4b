// SPDX-License-Identifier: Apache-2.0
#include "tests/support/ring_port.hpp"

#include <atomic>
#include <cstring>
#include <rte_eth_ring.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <stdexcept>

#include "nic/dpdk/eal.hpp"
#include "nic/dpdk/open.hpp"

namespace strictsend::testing {
namespace {

template <class T>
T* must(T* made, const char* what) {
  if (made == nullptr) throw std::runtime_error(std::string("no ") + what);
  return made;
}

}  // namespace

RingPort::RingPort(const nic::DmaMemory& memory, std::uint32_t queues, unsigned ring_entries,
                   std::uint64_t offloads, std::uint32_t mtu_bytes, Duration hang_limit) {
  static std::atomic<unsigned> instances = 0;
  const std::string name = "strictsend" + std::to_string(instances++);
  const auto started =
      nic::dpdk::start_eal({"--no-huge", "--no-pci", "-m", "256", "--no-telemetry"});
  if (!started) throw std::runtime_error(started.error().message());
  const auto make_ring = [&](const std::string& suffix) {
    return must(rte_ring_create((name + suffix).c_str(), ring_entries, 0, RING_F_SC_DEQ), "ring");
  };
  for (std::uint32_t i = 0; i < queues; ++i) {
    to_device_.push_back(make_ring("-tx" + std::to_string(i)));
    from_device_.push_back(make_ring("-rx" + std::to_string(i)));
  }
  receive_pool_ =
      must(rte_pktmbuf_pool_create((name + "-rx").c_str(), 1023, 0, 0, 10240, 0), "mbuf pool");
  if (rte_eth_from_rings(name.c_str(), from_device_.data(), queues, to_device_.data(), queues, 0) <
      0)
    throw std::runtime_error("no net_ring port");
  nic::dpdk::DpdkConfig config;
  device_ = "net_ring_" + name;
  config.device = device_;
  config.queues = queues;
  config.consumer_tx_offloads = offloads;
  config.mtu_bytes = mtu_bytes;
  config.hang_limit = hang_limit;
  auto port = nic::dpdk::open_dpdk_port(config, {}, memory);
  if (!port) throw std::runtime_error(port.error().message());
  port_ = std::move(*port);
}

RingPort::~RingPort() {
  close();
  for (const auto& rings : {to_device_, from_device_})
    for (rte_ring* ring : rings)
      rte_ring_free(ring);
  rte_mempool_free(receive_pool_);
}

rte_mbuf* RingPort::take(std::size_t queue) {
  void* object = nullptr;
  return rte_ring_dequeue(to_device_.at(queue), &object) == 0 ? static_cast<rte_mbuf*>(object)
                                                              : nullptr;
}

bool RingPort::inject(const std::vector<std::byte>& frame, std::size_t queue) {
  rte_mbuf* mbuf = rte_pktmbuf_alloc(receive_pool_);
  if (mbuf == nullptr) return false;
  std::memcpy(rte_pktmbuf_append(mbuf, static_cast<std::uint16_t>(frame.size())), frame.data(),
              frame.size());
  if (rte_ring_enqueue(from_device_.at(queue), mbuf) == 0) return true;
  rte_pktmbuf_free(mbuf);
  return false;
}

}  // namespace strictsend::testing
