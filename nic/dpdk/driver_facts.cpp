// SPDX-License-Identifier: Apache-2.0
#include "nic/dpdk/driver_facts.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace strictsend::nic::dpdk {
namespace {

/// rte_eth_tx_done_cleanup appears nowhere: few drivers have it, and igb's wedges its queue when
/// packets have several segments (tx_burst then takes nothing any more).
constexpr DriverFacts intel_gigabit(bool report_each) {
  // A buffer is freed when its slot is used again, a round of the ring later; the descriptors tell
  // (em_rxtx.c, igb_rxtx.c: eth_em_tx_descriptor_status rounds up to the next reporting one).
  return {.newest_status_is_true = true, .report_each = report_each, .close_ends_dma = true};
}

/// Frees only inside a tx_burst that has packets, and only above the threshold (virtio_rxtx.c,
/// virtio_xmit_pkts).
constexpr DriverFacts virtio{
    .free_eagerly = true,
    .close_ends_dma = true,
    .peer_may_be_local = true,
    .start_keeps_rings = true,  // virtio_dev_configure, virtio_dev_tx_queue_setup
    .tx_descriptors = 256};

/// Any call of tx_burst frees what is done (vmxnet3_rxtx.c, vmxnet3_xmit_pkts).
constexpr DriverFacts vmxnet3{.close_ends_dma = true};

/// They write to a file descriptor or copy to a shared ring inside tx_burst.
constexpr DriverFacts synchronous{
    .completes_in_burst = true, .spreads_by_itself = true, .is_virtual = true};
/// Stopping closes its sockets, which only probing opens (rte_eth_af_packet.c, eth_dev_stop).
constexpr DriverFacts af_packet{.completes_in_burst = true,
                                .spreads_by_itself = true,
                                .peer_may_be_local = true,
                                .is_virtual = true,
                                .stop_is_final = true};
/// Sums each piece as if it began on an even byte (rte_eth_tap.c, tap_write_mbufs).
constexpr DriverFacts tap{.completes_in_burst = true,
                          .spreads_by_itself = true,
                          .peer_may_be_local = true,
                          .sums_pieces_apart = true,
                          .is_virtual = true};
/// Hands the mbufs themselves to whoever reads the ring.
constexpr DriverFacts ring{
    .spreads_by_itself = true, .peer_may_be_local = true, .is_virtual = true};

constexpr std::array<std::pair<std::string_view, DriverFacts>, 9> drivers_known{{
    {"net_e1000_em", intel_gigabit(true)},
    {"net_e1000_igb", intel_gigabit(false)},
    {"net_virtio", virtio},
    {"net_vmxnet3", vmxnet3},
    {"net_tap", tap},
    {"net_af_packet", af_packet},
    {"net_null", synchronous},
    {"net_pcap", synchronous},
    {"net_ring", ring},
}};

}  // namespace

DriverFacts facts_of_driver(std::string_view driver_name) {
  const auto found = std::find_if(drivers_known.begin(), drivers_known.end(),
                                  [&](const auto& entry) { return entry.first == driver_name; });
  return found != drivers_known.end() ? found->second : DriverFacts{};
}

}  // namespace strictsend::nic::dpdk
