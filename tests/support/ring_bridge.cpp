// SPDX-License-Identifier: Apache-2.0
#include "tests/support/ring_bridge.hpp"

#include <array>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <span>
#include <utility>

#include "nic/wire/layout.hpp"

namespace strictsend::testing {
namespace {

constexpr std::size_t packets_held_max = 1024;
constexpr std::uint64_t header_bytes_max = 128;

std::uint64_t offloads_of(const nic::PortCapabilities& can) {
  std::uint64_t offloads = 0;
  if (can.checksum_offload) offloads |= RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
  if (can.segmented_bytes_max != 0)
    offloads |= RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
  return offloads;
}

/// What the first mbuf's flags and lengths ask for.
void read_requests(const rte_mbuf& head, nic::TxPacket& packet) {
  const auto start_bytes = static_cast<std::uint16_t>(head.l2_len + head.l3_len);
  const std::uint64_t sums = head.ol_flags & RTE_MBUF_F_TX_L4_MASK;
  if (sums == RTE_MBUF_F_TX_TCP_CKSUM)
    packet.checksum = {start_bytes, offsetof(wire::TcpLayout, checksum)};
  if (sums == RTE_MBUF_F_TX_UDP_CKSUM)
    packet.checksum = {start_bytes, offsetof(wire::UdpLayout, checksum)};
  if ((head.ol_flags & RTE_MBUF_F_TX_TCP_SEG) != 0)
    packet.segmentation = {static_cast<std::uint16_t>(head.l2_len + head.l3_len + head.l4_len),
                           static_cast<std::uint16_t>(head.tso_segsz)};
}

}  // namespace

MakeAdapter over_ring(RingBridge::Options options) {
  return [options](nic::SimPort& sim, const nic::DmaMemory& memory) {
    return std::make_unique<RingBridge>(sim, memory, options);
  };
}

RingBridge::RingBridge(nic::SimPort& sim, const nic::DmaMemory& memory, const Options& options)
    : sim_(sim),
      memory_(memory),
      options_(options),
      ring_(memory, 1, 256, offloads_of(sim.capabilities())),
      held_(packets_held_max) {
  for (std::size_t i = packets_held_max; i-- > 0;)
    cookies_.push_back(static_cast<std::uint32_t>(i));
}

void RingBridge::pump() {
  take_completions();
  while (true) {
    if (waiting_ == nullptr) waiting_ = ring_.take();
    if (waiting_ == nullptr || !pass_on(*waiting_)) break;
    waiting_ = nullptr;
  }
  static_cast<void>(sim_.queue(0).kick());
  deliver_received();
}

bool RingBridge::pass_on(rte_mbuf& chain) {
  if (cookies_.empty()) return false;
  std::array<nic::Fragment, 32> fragments{};
  std::size_t count = 0;
  for (const rte_mbuf* piece = &chain; piece != nullptr; piece = piece->next)
    fragments.at(count++) = fragment_of(*piece, cookies_.back());
  nic::TxPacket packet{std::span(fragments).first(count), std::nullopt, cookies_.back()};
  read_requests(chain, packet);
  if (sim_.queue(0).transmit({&packet, 1}) == 0) return false;
  cookies_.pop_back();
  held_[packet.cookie] = &chain;
  if (options_.frees_early) rte_pktmbuf_free(std::exchange(held_[packet.cookie], nullptr));
  return true;
}

nic::Fragment RingBridge::fragment_of(const rte_mbuf& piece, std::uint32_t cookie) const {
  const auto* bytes = rte_pktmbuf_mtod(&piece, const std::byte*);
  if (bytes >= memory_.base && bytes < memory_.base + memory_.size_bytes)
    return {ArenaOffset{static_cast<std::uint64_t>(bytes - memory_.base)}, piece.data_len};
  const ArenaOffset copy{offset_of(memory_.receive_end).value - (cookie + 1) * header_bytes_max};
  std::copy_n(bytes, piece.data_len, memory_.base + copy.value);
  return {copy, piece.data_len};
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
    if (!ring_.inject({packets[i].bytes.begin(), packets[i].bytes.end()})) break;
  }
  sim_.queue(0).release_received();
}

void RingBridge::release() {
  sim_.queue(0).stop();
  take_completions();
  if (waiting_ != nullptr) rte_pktmbuf_free(std::exchange(waiting_, nullptr));
  while (rte_mbuf* packet = ring_.take())
    rte_pktmbuf_free(packet);
}

}  // namespace strictsend::testing
