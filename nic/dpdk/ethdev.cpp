// SPDX-License-Identifier: Apache-2.0
#include "nic/dpdk/ethdev.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_memory.h>
#include <rte_vfio.h>
#include <thread>
#include <utility>

#include <spdlog/spdlog.h>

#include "base/unique_fd.hpp"
#include "nic/dpdk/dma_region.hpp"
#include "nic/dpdk/eal.hpp"
#include "nic/dpdk/pci_hint.hpp"

namespace strictsend::nic::dpdk {
namespace {

constexpr rte_eth_event_type event_types[] = {RTE_ETH_EVENT_INTR_RESET, RTE_ETH_EVENT_INTR_RMV};

/// Keeps a device's memory map beyond its closing. A stopped virtio device goes on reading what it
/// was given until it is closed; and closing gives it back to vfio, after which nothing could be
/// unmapped, and DPDK would map the same again for the next device, at addresses that are gone.
UniqueFd hold_vfio_group(const std::string& device) {
  int number = 0;
  if (!looks_like_pci(device) ||
      rte_vfio_get_group_num("/sys/bus/pci/devices", device.c_str(), &number) <= 0)
    return {};
  const int group = rte_vfio_get_group_fd(number);
  return UniqueFd(group < 0 ? -1 : ::fcntl(group, F_DUPFD_CLOEXEC, 0));
}

int on_event(std::uint16_t, rte_eth_event_type type, void* events, void*) {
  auto& told = *static_cast<EthdevEvents*>(events);
  if (type == RTE_ETH_EVENT_INTR_RESET) told.on_reset_wanted();
  if (type == RTE_ETH_EVENT_INTR_RMV) told.on_removed();
  return 0;
}

/// What the bus says, where on_event has the driver's word: vfio's request to let the device go
/// comes this way alone (pci_vfio.c, pci_vfio_req_handler), again and again until that is done.
void on_bus_event(const char*, rte_dev_event_type type, void* events) {
  if (type == RTE_DEV_EVENT_REMOVE) static_cast<EthdevEvents*>(events)->on_removed();
}

/// RTE_ETH_FOREACH_DEV, which does not compile without warnings.
template <class Visit>
void for_each_port(Visit visit) {
  constexpr std::uint64_t unowned = RTE_ETH_DEV_NO_OWNER;
  for (std::uint64_t port = rte_eth_find_next_owned_by(0, unowned); port < RTE_MAX_ETHPORTS;
       port = rte_eth_find_next_owned_by(static_cast<std::uint16_t>(port + 1), unowned))
    visit(static_cast<std::uint16_t>(port));
}

std::string known_devices() {
  std::string list;
  for_each_port([&](std::uint16_t port) {
    std::array<char, RTE_ETH_NAME_MAX_LEN> name{};
    if (rte_eth_dev_get_name_by_port(port, name.data()) == 0)
      list += (list.empty() ? "" : ", ") + std::string(name.data());
  });
  return list;
}

bool has_other_ports(const rte_device* device) {
  bool found = false;
  for_each_port([&](std::uint16_t port) {
    rte_eth_dev_info info;
    found = found || (rte_eth_dev_info_get(port, &info) == 0 && info.device == device);
  });
  return found;
}

Error not_found(const std::string& name, const std::string& said) {
  const std::string known = known_devices();
  std::string hint = said.empty() ? "" : said + ": ";
  // The first device of a process has EAL's memory mapped for it, which may be too much already.
  const bool no_memory = said.find("DMA remapping") != std::string::npos &&
                         said.find("error " + std::to_string(ENOMEM) + " ") != std::string::npos;
  std::string locked;
  if (no_memory) locked = memory_lock_hint({}, rte_eal_get_physmem_size(), true);
  if (!locked.empty())
    hint += locked;
  else if (looks_like_pci(name))
    hint += pci_hint({}, name);
  else
    hint += "make it with --vdev=" + name + ",… after --, or name a PCI address";
  hint += known.empty() ? "; DPDK sees no port" : "; DPDK sees " + known;
  return fail("finding the DPDK port " + name, ENODEV, hint).value();
}

}  // namespace

Result<std::unique_ptr<Ethdev>> Ethdev::find(const std::string& spec) {
  const std::string name = spec.substr(0, spec.find(','));
  std::uint16_t port = 0;
  if (rte_eth_dev_get_port_by_name(name.c_str(), &port) != 0) {
    static_cast<void>(take_eal_complaints());
    const std::string probe = spec == name ? vdev_specification(name) : spec;
    const bool probed = rte_dev_probe(probe.c_str()) == 0;
    const std::string said = take_eal_complaints();
    if (!probed || rte_eth_dev_get_port_by_name(name.c_str(), &port) != 0)
      return tl::unexpected(not_found(name, said));
  }
  std::unique_ptr<Ethdev> made(new Ethdev(port));
  made->facts_.name = name;
  if (const Result<void> done = made->inspect(); !done) return tl::unexpected(done.error());
  return made;
}

Result<void> Ethdev::failed(const char* operation, int result) const {
  const std::string said = take_eal_complaints();
  return fail(std::string(operation) + " of " + facts_.name, result < 0 ? -result : rte_errno,
              said.empty() ? "the driver " + facts_.driver + " refused it" : said);
}

Result<void> Ethdev::inspect() {
  rte_eth_dev_info info;
  if (const int result = rte_eth_dev_info_get(port_id_, &info); result != 0)
    return failed("rte_eth_dev_info_get", result);
  device_ = info.device;
  facts_.driver = info.driver_name != nullptr ? info.driver_name : "unknown";
  rte_ether_addr mac{};
  if (rte_eth_macaddr_get(port_id_, &mac) == 0)
    std::copy(std::begin(mac.addr_bytes), std::end(mac.addr_bytes), facts_.mac.begin());
  std::uint16_t mtu = 0;
  if (rte_eth_dev_get_mtu(port_id_, &mtu) == 0 && mtu != 0) facts_.mtu_bytes = mtu;
  facts_.mtu_bytes_min = info.min_mtu;
  facts_.mtu_bytes_max = info.max_mtu == UINT16_MAX ? 0 : info.max_mtu;
  facts_.rx_offloads = info.rx_offload_capa;
  facts_.tx_offloads = info.tx_offload_capa;
  facts_.rss_types = info.flow_type_rss_offloads;
  facts_.rx_queues_max = info.max_rx_queues;
  facts_.tx_queues_max = info.max_tx_queues;
  const auto limit = [](std::uint16_t segments) {
    return segments == UINT16_MAX ? std::uint16_t{0} : segments;
  };
  facts_.segments_max = limit(info.tx_desc_lim.nb_seg_max);
  facts_.mtu_segments_max = limit(info.tx_desc_lim.nb_mtu_seg_max);
  return {};
}

Result<void> Ethdev::start(const DevicePlan& plan, const DriverFacts& driver,
                           const std::vector<rte_mempool*>& rx_pools) {
  plan_ = plan;
  driver_ = driver;
  rx_pools_ = rx_pools;
  queues_ = plan.queues;
  if (auto done = configure(); !done) return done;
  if (const int result = rte_eth_dev_start(port_id_); result != 0)
    return failed("rte_eth_dev_start", result);
  hear_groups();
  return {};
}

void Ethdev::hear_groups() {
  // Of groups IPv6 needs 33:33:00:00:00:01 and one that its address names (RFC 4861 §7.2.1), but
  // lists of them are what fewest drivers can. One that can do neither hears all by itself, or else
  // IPv6 neighbours do not find it.
  if (rte_eth_allmulticast_enable(port_id_) == 0) return;
  if (rte_eth_promiscuous_enable(port_id_) != 0)
    spdlog::debug("{}: the driver {} takes no order to receive multicast", facts_.name,
                  facts_.driver);
}

Result<void> Ethdev::configure() {
  rte_eth_conf conf{};
  conf.rxmode.mq_mode = plan_.rss_types != 0 ? RTE_ETH_MQ_RX_RSS : RTE_ETH_MQ_RX_NONE;
  conf.rxmode.mtu = plan_.mtu_bytes;
  conf.rxmode.offloads = plan_.rx_offloads;
  conf.txmode.offloads = plan_.tx_offloads;
  conf.rx_adv_conf.rss_conf.rss_hf = plan_.rss_types;
  // Asking drivers that have no such event would be refused.
  rte_eth_dev_info info;
  if (rte_eth_dev_info_get(port_id_, &info) == 0 && info.dev_flags != nullptr)
    conf.intr_conf.rmv = (*info.dev_flags & RTE_ETH_DEV_INTR_RMV) != 0 ? 1 : 0;
  if (const int result = rte_eth_dev_configure(port_id_, queues_, queues_, &conf); result != 0)
    return failed("rte_eth_dev_configure", result);
  if (plan_.mtu_bytes != facts_.mtu_bytes) {
    // Configuring has set it already (since 21.11); some drivers want to be told apart from that.
    const int result = rte_eth_dev_set_mtu(port_id_, plan_.mtu_bytes);
    if (result != 0 && result != -ENOTSUP) return failed("rte_eth_dev_set_mtu", result);
  }
  return set_up_queues();
}

Result<void> Ethdev::choose_descriptors(const DriverFacts& driver) {
  tx_descriptors_ = driver.tx_descriptors;
  if (const int result =
          rte_eth_dev_adjust_nb_rx_tx_desc(port_id_, &rx_descriptors_, &tx_descriptors_);
      result != 0)
    return failed("rte_eth_dev_adjust_nb_rx_tx_desc", result);
  return {};
}

int Ethdev::set_up_tx_queue(std::uint16_t queue, unsigned node, rte_eth_txconf& conf) {
  if (!driver_.free_eagerly)
    return rte_eth_tx_queue_setup(port_id_, queue, tx_descriptors_, node, &conf);
  // "Free when fewer than this are free", and so always. It must fit the device's ring, whose size
  // virtio does not tell: any number of descriptors is taken, and the threshold is refused.
  constexpr std::uint16_t ring_min = 16;
  int result = -EINVAL;
  for (std::uint16_t size = tx_descriptors_; size >= ring_min && result == -EINVAL; size /= 2) {
    conf.tx_free_thresh = static_cast<std::uint16_t>(size - 4);
    result = rte_eth_tx_queue_setup(port_id_, queue, size, node, &conf);
    if (result == 0) tx_descriptors_ = size;
  }
  return result;
}

Result<void> Ethdev::set_up_queues() {
  rte_eth_dev_info info;
  if (const int result = rte_eth_dev_info_get(port_id_, &info); result != 0)
    return failed("rte_eth_dev_info_get", result);
  rte_eth_rxconf rx = info.default_rxconf;
  rx.offloads = plan_.rx_offloads;
  rte_eth_txconf tx = info.default_txconf;
  tx.offloads = plan_.tx_offloads;
  if (driver_.report_each) {
    tx.tx_rs_thresh = 1;
    // Above 0 the NIC writes back in batches, whatever descriptors ask for.
    tx.tx_thresh.wthresh = 0;
  }
  const int socket = rte_eth_dev_socket_id(port_id_);
  const auto node = socket < 0 ? 0U : static_cast<unsigned>(socket);
  for (std::uint16_t queue = 0; queue < queues_; ++queue) {
    if (const int result =
            rte_eth_rx_queue_setup(port_id_, queue, rx_descriptors_, node, &rx, rx_pools_[queue]);
        result != 0)
      return failed("rte_eth_rx_queue_setup", result);
    if (const int result = set_up_tx_queue(queue, node, tx); result != 0)
      return failed("rte_eth_tx_queue_setup", result);
  }
  rte_eth_txq_info configured{};
  reports_each_ =
      rte_eth_tx_queue_info_get(port_id_, 0, &configured) == 0 && configured.conf.tx_rs_thresh == 1;
  return {};
}

void Ethdev::tell_events(EthdevEvents& events) {
  events_ = &events;
  for (const rte_eth_event_type event : event_types)
    static_cast<void>(rte_eth_dev_callback_register(port_id_, event, &on_event, events_));
  static_cast<void>(rte_dev_event_callback_register(rte_dev_name(device_), &on_bus_event, events_));
}

void Ethdev::forget_events() {
  if (events_ == nullptr) return;
  for (const rte_eth_event_type event : event_types) {
    // -EAGAIN: it is running at this moment.
    while (rte_eth_dev_callback_unregister(port_id_, event, &on_event, events_) == -EAGAIN)
      std::this_thread::yield();
  }
  while (rte_dev_event_callback_unregister(rte_dev_name(device_), &on_bus_event, events_) ==
         -EAGAIN)
    std::this_thread::yield();
  events_ = nullptr;
}

Result<void> Ethdev::reset() {
  const std::lock_guard lock(mutex_);
  if (closed_) return {};
  if (const int result = rte_eth_dev_stop(port_id_); result != 0)
    return failed("rte_eth_dev_stop", result);
  // Drivers without a reset of their own are set up anew, which frees what their queues held (and
  // does nothing to virtio's, which are what they were).
  if (const int result = rte_eth_dev_reset(port_id_); result != 0 && result != -ENOTSUP)
    return failed("rte_eth_dev_reset", result);
  if (auto done = configure(); !done) return done;
  if (const int result = rte_eth_dev_start(port_id_); result != 0)
    return failed("rte_eth_dev_start", result);
  hear_groups();
  return {};
}

bool Ethdev::close() {
  const std::lock_guard lock(mutex_);
  if (closed_) return let_go_;
  closed_ = true;
  forget_events();
  // A device that does not stop is not closed either (rte_eth_dev_close refuses), so ask twice.
  int result = rte_eth_dev_stop(port_id_);
  if (result != 0) result = rte_eth_dev_stop(port_id_);
  if (result == 0) {
    const UniqueFd group = hold_vfio_group(facts_.name);
    result = rte_eth_dev_close(port_id_);
    if (result == 0 && region_ != nullptr) region_->unmap();
  }
  let_go_ = result == 0;
  if (!let_go_)
    spdlog::error("{}: the driver does not stop the device (error {}): its memory is kept",
                  facts_.name, result);
  return let_go_;
}

bool Ethdev::is_removed() const {
  const std::lock_guard lock(mutex_);
  return !closed_ && rte_eth_dev_is_removed(port_id_) == 1;
}

Ethdev::~Ethdev() {
  if (queues_ == 0) return;        // only looked at
  if (close()) remove_from_bus();  // so that the same name can be probed again
}

void Ethdev::detach() {
  const std::lock_guard lock(mutex_);
  if (!closed_ || !let_go_ || device_ == nullptr || has_other_ports(device_)) return;
  remove_from_bus();
}

void Ethdev::remove_from_bus() {
  if (device_ == nullptr || has_other_ports(device_)) return;
  rte_device* device = std::exchange(device_, nullptr);  // never twice: it may be freed
  if (const int result = rte_dev_remove(device); result != 0)
    spdlog::warn("{}: DPDK did not give the device back to its bus (error {})", facts_.name,
                 result);
}

bool Ethdev::is_link_up() const {
  const std::lock_guard lock(mutex_);
  rte_eth_link link{};
  if (closed_) return false;
  return rte_eth_link_get_nowait(port_id_, &link) != 0 || link.link_status == RTE_ETH_LINK_UP;
}

std::vector<Statistic> Ethdev::extended_statistics() const {
  const std::lock_guard lock(mutex_);
  if (closed_) return {};
  const int count = rte_eth_xstats_get_names(port_id_, nullptr, 0);
  if (count <= 0) return {};
  std::vector<rte_eth_xstat_name> names(static_cast<std::size_t>(count));
  std::vector<rte_eth_xstat> values(names.size());
  const auto room = static_cast<unsigned>(count);
  const int named = rte_eth_xstats_get_names(port_id_, names.data(), room);
  const int valued = rte_eth_xstats_get(port_id_, values.data(), room);
  std::vector<Statistic> statistics;
  for (int i = 0; i < std::min({named, valued, count}); ++i) {
    const rte_eth_xstat& value = values[static_cast<std::size_t>(i)];
    if (value.id >= names.size()) continue;
    statistics.push_back({names[value.id].name, value.value});
  }
  return statistics;
}

}  // namespace strictsend::nic::dpdk
