// SPDX-License-Identifier: Apache-2.0
#include "nic/dpdk/queue.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <thread>

#include "base/assert.hpp"
#include "base/clock.hpp"
#include "nic/dpdk/ethdev.hpp"
#include "nic/validate.hpp"
#include "nic/wire/ethernet_frame.hpp"
#include "nic/wire/layout.hpp"

namespace strictsend::nic::dpdk {
namespace {

/// How long the `stop` of one queue waits for the others', without which the port cannot be closed.
constexpr Duration others_limit = seconds(5);

/// Tries, a turn of the engine each, to hand over a packet to a device with nothing to do. Drivers
/// answer so to a packet that they can never send, and that would be in the way for ever.
constexpr std::uint32_t refusals_max = 4096;

/// The flags and lengths by which DPDK names what a ChecksumRequest says in bytes.
void request_offloads(rte_mbuf& head, const TxPacket& packet) {
  const ChecksumRequest& checksum = *packet.checksum;
  const bool tcp = checksum.offset_bytes == offsetof(wire::TcpLayout, checksum);
  // The whole link and IP header is in the first piece.
  const auto ethernet =
      wire::parse_ethernet({rte_pktmbuf_mtod(&head, const std::byte*), checksum.start_bytes});
  STRICTSEND_ASSERT(ethernet.has_value());
  const std::uint64_t ip_bytes = ethernet->payload.size();
  const std::uint64_t link_bytes = checksum.start_bytes - ip_bytes;
  const bool is_v6 = ethernet->ether_type == wire::ether_type_ipv6;
  std::uint64_t segment_bytes = 0;
  head.ol_flags |= (is_v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4) |
                   (tcp ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM);
  // Hardware wants the transport header's length for segmentation alone, software for checksums
  // too.
  std::uint64_t transport_bytes = wire::udp_bytes;
  if (tcp) {
    const auto header = wire::load<wire::TcpLayout>(rte_pktmbuf_mtod_offset(
        &head, const std::byte*, static_cast<std::size_t>(checksum.start_bytes)));
    transport_bytes = (header.data_offset_flags.get() >> 12) * std::uint64_t{4};
  }
  if (packet.segmentation) {
    head.ol_flags |= RTE_MBUF_F_TX_TCP_SEG | (is_v6 ? 0 : RTE_MBUF_F_TX_IP_CKSUM);
    segment_bytes = packet.segmentation->payload_bytes;
  }
  head.tx_offload =
      rte_mbuf_tx_offload(link_bytes, ip_bytes, transport_bytes, segment_bytes, 0, 0, 0);
}

RxChecksum checksum_of(const rte_mbuf& packet, RxChecksum otherwise) {
  // IPv6 has no checksum of its own that could be good.
  const bool ip_bad = (packet.ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_BAD;
  const bool good = (packet.ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD;
  return good && !ip_bad ? RxChecksum::good : otherwise;
}

/// The record behind a chain that the device has not seen: its last piece is an external one.
TxRecord& record_of(rte_mbuf& packet) {
  return *static_cast<TxRecord*>(rte_pktmbuf_lastseg(&packet)->shinfo->fcb_opaque);
}

}  // namespace

DpdkQueue::DpdkQueue(Ethdev& device, std::uint16_t index, const DriverFacts& driver,
                     PortState& state, const PortCapabilities& capabilities,
                     const DmaMemory& memory, rte_mempool* tx_pool, std::uint32_t records)
    : device_(device),
      index_(index),
      driver_(driver),
      state_(state),
      capabilities_(capabilities),
      memory_(memory),
      tx_pool_(tx_pool),
      records_(std::make_unique<TxRecords>(records)) {}

DpdkQueue::~DpdkQueue() {
  stop();
  std::array<TxCompletion, burst> ignored;
  while (records_->collect(ignored) > 0) {
  }
  // A callback may still come for those: their memory stays.
  if (records_->with_dpdk() > 0) static_cast<void>(records_.release());
}

bool DpdkQueue::enter() {
  if (aside_) {
    state_.aside[index_].store(false, std::memory_order_seq_cst);
    aside_ = false;
  }
  if (state_.phase.load(std::memory_order_seq_cst) != PortState::Phase::running) {
    step_aside();
    return false;
  }
  if (!entered_) {
    entered_ = true;
    // Gives the thread a cache of every mempool. Without (too many threads) it works, slower.
    registered_ = rte_lcore_id() == LCORE_ID_ANY && rte_thread_register() == 0;
  }
  return true;
}

void DpdkQueue::step_aside() {
  aside_ = true;
  state_.aside[index_].store(true, std::memory_order_seq_cst);
}

std::size_t DpdkQueue::transmit(std::span<const TxPacket> packets) {
  STRICTSEND_ASSERT(!stopped_);
  if (!enter()) return 0;
  std::size_t taken = 0;
  for (const TxPacket& packet : packets) {
    if (staged_count_ == staged_.size()) flush();
    if (staged_count_ == staged_.size()) break;
    assert_sendable(capabilities_, memory_, packet);
    rte_mbuf* head = chain(packet);
    if (head == nullptr) break;
    staged_[staged_count_++] = head;
    counters_.tx_bytes.add(head->pkt_len);
    ++taken;
  }
  counters_.tx_packets.add(taken);
  return taken;
}

rte_mbuf* DpdkQueue::chain(const TxPacket& packet) {
  // The headers of a packet to be cut are copied into an mbuf's own room: DPDK's software
  // segmentation gives its pieces the flags of the first mbuf, and frees them by those, so that
  // must not be an external one (lib/gso/gso_common.c, hdr_segment_init). 66 bytes for 64 KiB.
  const std::uint32_t copied_bytes = packet.segmentation ? packet.segmentation->header_bytes : 0;
  std::span<const Fragment> rest = packet.fragments;
  Fragment first = rest.front();
  first.offset.value += copied_bytes;
  first.length_bytes -= copied_bytes;
  rest = rest.subspan(1);

  const std::size_t pieces = rest.size() + (first.length_bytes > 0 ? 1 : 0);
  const std::size_t count = pieces + (copied_bytes > 0 ? 1 : 0);
  TxRecord* record = records_->take(packet.cookie, static_cast<std::uint16_t>(pieces));
  if (record == nullptr) return nullptr;
  std::array<rte_mbuf*, burst> mbufs;
  STRICTSEND_DEBUG_ASSERT(pieces > 0 && count <= mbufs.size());
  if (rte_pktmbuf_alloc_bulk(tx_pool_, mbufs.data(), static_cast<unsigned>(count)) != 0) {
    records_->put_back(*record);
    return nullptr;
  }
  rte_mbuf** next = mbufs.data();
  if (copied_bytes > 0) {
    std::memcpy(rte_pktmbuf_mtod(*next, std::byte*),
                memory_.base + packet.fragments.front().offset.value, copied_bytes);
    (*next)->data_len = static_cast<std::uint16_t>(copied_bytes);
    ++next;
  }
  if (first.length_bytes > 0) attach(**next++, first, *record);
  for (const Fragment& fragment : rest)
    attach(**next++, fragment, *record);

  rte_mbuf* head = mbufs[0];
  head->nb_segs = static_cast<std::uint16_t>(count);
  head->pkt_len = 0;
  for (std::size_t i = 0; i < count; ++i) {
    mbufs[i]->next = i + 1 < count ? mbufs[i + 1] : nullptr;
    head->pkt_len += mbufs[i]->data_len;
  }
  if (packet.checksum) {
    request_offloads(*head, packet);
    staged_requests_ = true;
  }
  return head;
}

void DpdkQueue::attach(rte_mbuf& mbuf, const Fragment& fragment, TxRecord& record) const {
  std::byte* address = memory_.base + fragment.offset.value;
  const auto bytes = static_cast<std::uint16_t>(fragment.length_bytes);
  rte_pktmbuf_attach_extbuf(&mbuf, address, reinterpret_cast<std::uintptr_t>(address), bytes,
                            &record.shared);
  mbuf.data_len = bytes;
}

int DpdkQueue::kick() {
  STRICTSEND_ASSERT(!stopped_);
  if (!enter())
    return state_.phase.load(std::memory_order_relaxed) == PortState::Phase::lost ? ENODEV : 0;
  flush();
  ++turns_;
  show_sight();
  return state_.link_up.load(std::memory_order_relaxed) ? 0 : ENETDOWN;
}

void DpdkQueue::show_sight() {
  state_.tx[index_].show({.turns = turns_,
                          .bursts = counters_.tx_kicks.get(),
                          .completed = counters_.tx_completions.get() - counters_.tx_dropped.get(),
                          .outstanding = records_->outstanding(),
                          .staged = static_cast<std::uint32_t>(staged_count_)});
}

void DpdkQueue::flush() {
  std::size_t done = 0;
  while (done < staged_count_) {
    const auto waiting = static_cast<std::uint16_t>(staged_count_ - done);
    rte_mbuf** first = staged_.data() + done;
    const std::uint16_t ready =
        staged_requests_ ? rte_eth_tx_prepare(device_.port_id(), index_, first, waiting) : waiting;
    const std::uint16_t sent = rte_eth_tx_burst(device_.port_id(), index_, first, ready);
    if (sent > 0) counters_.tx_kicks.add();
    done += sent;
    if (sent < ready) {
      // The ring is full, or else it is empty and the driver does not want this packet.
      const bool idle = sent == 0 && records_->outstanding() == staged_count_ - done;
      refusals_ = idle ? refusals_ + 1 : 0;
      if (refusals_ < refusals_max) break;
      refusals_ = 0;
      reject(staged_[done++]);
      continue;
    }
    refusals_ = 0;
    if (ready < waiting) reject(staged_[done++]);
  }
  std::copy(staged_.begin() + static_cast<std::ptrdiff_t>(done),
            staged_.begin() + static_cast<std::ptrdiff_t>(staged_count_), staged_.begin());
  staged_count_ -= done;
  if (staged_count_ == 0) staged_requests_ = false;
}

/// The driver never sends this one: it is completed as dropped.
void DpdkQueue::reject(rte_mbuf* packet) {
  record_of(*packet).status = TxStatus::dropped;
  counters_.tx_invalid_descriptors.add();
  rte_pktmbuf_free(packet);
}

std::size_t DpdkQueue::reap(std::span<TxCompletion> completions) {
  std::size_t filled = records_->collect(completions);
  if (!stopped_) {
    if (filled == 0 && records_->outstanding() > 0 && enter()) filled = reclaim_idle(completions);
  } else if (driver_.close_ends_dma &&
             state_.phase.load(std::memory_order_acquire) == PortState::Phase::closed &&
             state_.let_go.load(std::memory_order_relaxed)) {
    filled += records_->complete_all(completions.subspan(filled), TxStatus::dropped);
  }
  for (std::size_t i = 0; i < filled; ++i) {
    if (stopped_) completions[i].status = TxStatus::dropped;
    if (completions[i].status == TxStatus::dropped) counters_.tx_dropped.add();
  }
  if (filled == 0) return 0;
  counters_.tx_completions.add(filled);
  counters_.unexpected_completions.set(records_->unexpected());
  show_sight();
  return filled;
}

/// What the driver offers to get at completions while nothing more is sent.
std::size_t DpdkQueue::reclaim_idle(std::span<TxCompletion> completions) {
  if (driver_.completes_in_burst || staged_count_ > 0) return 0;
  if (driver_.newest_status_is_true) {
    const auto newest = static_cast<std::uint16_t>(device_.tx_descriptors() - 1);
    if (rte_eth_tx_descriptor_status(device_.port_id(), index_, newest) == RTE_ETH_TX_DESC_DONE)
      return records_->complete_all(completions, TxStatus::sent);
    return 0;
  }
  static_cast<void>(rte_eth_tx_burst(device_.port_id(), index_, nullptr, 0));
  return records_->collect(completions);
}

std::size_t DpdkQueue::receive(std::span<RxPacket> packets) {
  if (!enter()) return 0;
  const std::size_t room = std::min(packets.size(), held_.size() - held_count_);
  rte_mbuf** first = held_.data() + held_count_;
  const std::uint16_t count =
      rte_eth_rx_burst(device_.port_id(), index_, first, static_cast<std::uint16_t>(room));
  const RxChecksum unverified =
      driver_.peer_may_be_local ? RxChecksum::partial : RxChecksum::unknown;
  std::size_t filled = 0;
  for (std::uint16_t i = 0; i < count; ++i) {
    const rte_mbuf& packet = *first[i];
    if (packet.nb_segs != 1) {  // larger than asked for (PortCapabilities::max_receive_bytes)
      counters_.rx_dropped.add();
      continue;
    }
    packets[filled++] = {{rte_pktmbuf_mtod(&packet, const std::byte*), packet.data_len},
                         checksum_of(packet, unverified)};
    counters_.rx_packets.add();
    counters_.rx_bytes.add(packet.data_len);
  }
  held_count_ += count;
  return filled;
}

void DpdkQueue::release_received() {
  if (held_count_ == 0) return;
  rte_pktmbuf_free_bulk(held_.data(), static_cast<unsigned>(held_count_));
  held_count_ = 0;
}

void DpdkQueue::stop() {
  if (stopped_) return;
  stopped_ = true;
  release_received();
  for (std::size_t i = 0; i < staged_count_; ++i)
    rte_pktmbuf_free(staged_[i]);
  staged_count_ = 0;
  step_aside();
  // As long as another queue's thread may be inside the device, it cannot be closed.
  if (state_.stopped.fetch_add(1, std::memory_order_acq_rel) + 1 == state_.queues) {
    state_.let_go.store(device_.close(), std::memory_order_relaxed);
    state_.phase.store(PortState::Phase::closed, std::memory_order_release);
  } else {
    const Time limit = monotonic_now() + others_limit;
    while (state_.phase.load(std::memory_order_acquire) != PortState::Phase::closed &&
           monotonic_now() < limit)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (registered_) rte_thread_unregister();
  registered_ = false;
}

std::uint64_t DpdkQueue::memory_bytes() const {
  return sizeof(*this) + records_->memory_bytes();
}

}  // namespace strictsend::nic::dpdk
