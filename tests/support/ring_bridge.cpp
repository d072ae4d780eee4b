// SPDX-License-Identifier: Apache-2.0
#include "tests/support/ring_bridge.hpp"

#include <array>
#include <atomic>
#include <cstring>
#include <span>
#include <stdexcept>

#include <rte_eth_ring.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "nic/dpdk/eal.hpp"
#include "nic/dpdk/open.hpp"

namespace strictsend::testing {
namespace {

constexpr unsigned ring_entries = 256;
constexpr std::size_t packets_held_max = 1024;

template <class T>
T* must(T* made, const char* what) {
  if (made == nullptr) throw std::runtime_error(std::string("no ") + what);
  return made;
}

}  // namespace

MakeAdapter over_ring(RingBridge::Options options) {
  return [options](nic::SimPort& sim, const nic::DmaMemory& memory) {
    return std::make_unique<RingBridge>(sim, memory, options);
  };
}

RingBridge::RingBridge(nic::SimPort& sim, const nic::DmaMemory& memory, const Options& options)
    : sim_(sim), memory_(memory), options_(options), held_(packets_held_max) {
  static std::atomic<unsigned> instances = 0;
  name_ = "bridge" + std::to_string(instances++);
  for (std::size_t i = packets_held_max; i-- > 0;)
    cookies_.push_back(static_cast<std::uint32_t>(i));

  const auto started = nic::dpdk::start_eal({"--no-huge", "--no-pci", "-m", "256", "--no-telemetry"});
  if (!started) throw std::runtime_error(started.error().message());
  const unsigned one_each = RING_F_SP_ENQ | RING_F_SC_DEQ;
  to_device_ = must(rte_ring_create((name_ + "-tx").c_str(), ring_entries, 0, one_each), "ring");
  from_device_ = must(rte_ring_create((name_ + "-rx").c_str(), ring_entries, 0, one_each), "ring");
  receive_pool_ =
      must(rte_pktmbuf_pool_create((name_ + "-rx").c_str(), 1023, 0, 0, 4096, 0), "mbuf pool");
  if (rte_eth_from_rings(name_.c_str(), &from_device_, 1, &to_device_, 1, 0) < 0)
    throw std::runtime_error("no net_ring port");
  nic::dpdk::DpdkConfig config;
  config.device = "net_ring_" + name_;
  config.queues = 1;
  auto port = nic::dpdk::open_port(config, {}, memory);
  if (!port) throw std::runtime_error(port.error().message());
  port_ = std::move(*port);
}

RingBridge::~RingBridge() {
  port_.reset();
  rte_ring_free(to_device_);
  rte_ring_free(from_device_);
  rte_mempool_free(receive_pool_);
}

void RingBridge::pump() {
  take_completions();
  while (true) {
    if (waiting_ == nullptr) {
      void* object = nullptr;
      if (rte_ring_dequeue(to_device_, &object) != 0) break;
      waiting_ = static_cast<rte_mbuf*>(object);
    }
    if (!pass_on(*waiting_)) break;
    waiting_ = nullptr;
  }
  static_cast<void>(sim_.queue(0).kick());
  deliver_received();
}

bool RingBridge::pass_on(rte_mbuf& chain) {
  if (cookies_.empty()) return false;
  std::array<nic::Fragment, 32> fragments{};
  std::size_t count = 0;
  for (const rte_mbuf* piece = &chain; piece != nullptr; piece = piece->next) {
    const auto* address = rte_pktmbuf_mtod(piece, const std::byte*);
    fragments.at(count++) = {ArenaOffset{static_cast<std::uint64_t>(address - memory_.base)},
                             piece->data_len};
  }
  const nic::TxPacket packet{std::span(fragments).first(count), std::nullopt, cookies_.back()};
  if (sim_.queue(0).transmit({&packet, 1}) == 0) return false;
  cookies_.pop_back();
  ++packets_passed_;
  held_[packet.cookie] = &chain;
  if (options_.frees_early) rte_pktmbuf_free(std::exchange(held_[packet.cookie], nullptr));
  return true;
}

void RingBridge::take_completions() {
  std::array<nic::TxCompletion, 64> completions;
  while (const std::size_t count = sim_.queue(0).reap(completions)) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint32_t cookie = completions[i].cookie;
      rte_pktmbuf_free(std::exchange(held_[cookie], nullptr));
      cookies_.push_back(cookie);
    }
  }
}

void RingBridge::deliver_received() {
  std::array<nic::RxPacket, 64> packets;
  const std::size_t count = sim_.queue(0).receive(packets);
  for (std::size_t i = 0; i < count; ++i) {
    rte_mbuf* mbuf = rte_pktmbuf_alloc(receive_pool_);
    if (mbuf == nullptr) break;
    std::memcpy(rte_pktmbuf_append(mbuf, static_cast<std::uint16_t>(packets[i].bytes.size())),
                packets[i].bytes.data(), packets[i].bytes.size());
    if (rte_ring_enqueue(from_device_, mbuf) != 0) rte_pktmbuf_free(mbuf);
  }
  sim_.queue(0).release_received();
}

void RingBridge::release() {
  sim_.queue(0).stop();
  take_completions();
  if (waiting_ != nullptr) rte_pktmbuf_free(std::exchange(waiting_, nullptr));
  void* object = nullptr;
  for (rte_ring* ring : {to_device_, from_device_})
    while (rte_ring_dequeue(ring, &object) == 0)
      rte_pktmbuf_free(static_cast<rte_mbuf*>(object));
}

}  // namespace strictsend::testing
