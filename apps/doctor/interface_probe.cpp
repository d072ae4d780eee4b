// SPDX-License-Identifier: Apache-2.0
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <fstream>
#include <ifaddrs.h>
#include <memory>
#include <sched.h>
#include <sstream>

#include "apps/doctor/ethtool.hpp"
#include "apps/doctor/probes.hpp"

namespace strictsend::doctor {
namespace {

bool has_address(const std::string& name) {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return false;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
  for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr || name != at->ifa_name) continue;
    if (at->ifa_addr->sa_family == AF_INET || at->ifa_addr->sa_family == AF_INET6) return true;
  }
  return false;
}

/// The kernel's VLAN device on top of an interface, as /proc/net/vlan/config names it: "eth0.5 | 5
/// | eth0"; empty: there is none.
std::string vlan_device(const std::string& name, std::uint16_t vlan_id) {
  std::ifstream config("/proc/thread-self/net/vlan/config");
  std::string line;
  while (std::getline(config, line)) {
    std::ranges::replace(line, '|', ' ');
    std::istringstream fields(line);
    std::string device;
    std::string below;
    unsigned id = 0;
    if (fields >> device >> id >> below && id == vlan_id && below == name) return device;
  }
  return {};
}

std::uint32_t usable_processors() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<std::uint32_t>(CPU_COUNT(&set));
}

}  // namespace

InterfaceFacts probe_af_xdp(const Options& options, const std::string& name) {
  InterfaceFacts facts;
  facts.name = name;
  facts.queues_wanted = options.queues;
  facts.vlan_id = options.vlan_id;
  facts.processors = usable_processors();
  Result<InterfaceProbe> probe = probe_interface(name);
  if (!probe) {
    const int number = probe.error().errno_value;
    facts.probed = {number != 0 ? number : -1, probe.error().message()};
    return facts;
  }
  facts.probe = std::move(*probe);

  const Ethtool ethtool(name);
  const int flags = ethtool.flags();
  facts.up = (flags & IFF_UP) != 0;
  facts.carrier = (flags & IFF_RUNNING) != 0;
  facts.address_given = options.address_given;
  facts.has_address = has_address(options.vlan_id ? vlan_device(name, *options.vlan_id) : name);
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  if (ethtool.ask(channels)) facts.combined_queues_max = channels.max_combined;
  facts.gro = ethtool.value(ETHTOOL_GGRO) != 0;
  const std::uint32_t features = ethtool.value(ETHTOOL_GFLAGS);
  facts.lro = (features & ETH_FLAG_LRO) != 0;
  facts.rx_vlan = (features & ETH_FLAG_RXVLAN) != 0;
  if (facts.probe.driver == "veth") facts.peer = find_veth_peer(name);
  return facts;
}

}  // namespace strictsend::doctor
