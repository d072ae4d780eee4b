// SPDX-License-Identifier: Apache-2.0
#include "nic/af_xdp/netdev.hpp"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/unique_fd.hpp"
#include "nic/af_xdp/netdev_netlink.hpp"

namespace strictsend::nic::af_xdp {
namespace {

ifreq request_for(const std::string& name) {
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  return request;
}

std::string known_interfaces() {
  std::string names;
  if (struct if_nameindex* all = ::if_nameindex()) {
    for (const struct if_nameindex* entry = all; entry->if_index != 0; ++entry)
      names += (names.empty() ? "" : ", ") + std::string(entry->if_name);
    ::if_freenameindex(all);
  }
  return names;
}

template <class Command>
bool ethtool(int fd, const std::string& name, Command& command) {
  ifreq request = request_for(name);
  request.ifr_data = reinterpret_cast<char*>(&command);
  return ::ioctl(fd, SIOCETHTOOL, &request) == 0;
}

}  // namespace

Result<InterfaceFacts> inspect_interface(const std::string& name) {
  InterfaceFacts facts;
  facts.name = name;
  facts.index = name.size() < IFNAMSIZ ? ::if_nametoindex(name.c_str()) : 0;
  if (facts.index == 0)
    return fail("opening interface " + name, ENODEV,
                "there is no such interface here; there are: " + known_interfaces());

  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return fail("opening a socket to ask about " + name, errno);
  ifreq request = request_for(name);
  if (::ioctl(fd.get(), SIOCGIFHWADDR, &request) != 0)
    return fail("reading the address of " + name, errno);
  if (request.ifr_hwaddr.sa_family != ARPHRD_ETHER)
    return fail("opening interface " + name, EOPNOTSUPP, "it is not an Ethernet interface");
  std::memcpy(facts.mac.data(), request.ifr_hwaddr.sa_data, facts.mac.size());
  request = request_for(name);
  if (::ioctl(fd.get(), SIOCGIFMTU, &request) != 0)
    return fail("reading the MTU of " + name, errno);
  facts.mtu_bytes = static_cast<std::uint32_t>(request.ifr_mtu);

  ethtool_drvinfo driver{};
  driver.cmd = ETHTOOL_GDRVINFO;
  if (ethtool(fd.get(), name, driver))
    facts.driver.assign(driver.driver, ::strnlen(driver.driver, sizeof driver.driver));
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  if (ethtool(fd.get(), name, channels))
    facts.rx_queues = channels.combined_count + channels.rx_count;
  facts.features = query_netdev_features(facts.index);
  return facts;
}

bool takes_pages(const InterfaceFacts& facts) {
  return facts.driver == "virtio_net";
}

/// As /proc/net/vlan/config names it: "eth0.5 | 5 | eth0".
std::optional<std::string> vlan_device(const std::string& name, std::uint16_t vlan_id) {
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
  return std::nullopt;
}

bool interface_is_running(const std::string& name) {
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = request_for(name);
  if (::ioctl(fd.get(), SIOCGIFFLAGS, &request) != 0) return false;
  constexpr int wanted = IFF_UP | IFF_RUNNING;
  return (request.ifr_flags & wanted) == wanted;
}

}  // namespace strictsend::nic::af_xdp
