// SPDX-License-Identifier: Apache-2.0
#include "nic/open_port.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <ifaddrs.h>
#include <time.h>
#include <utility>

#include "nic/af_xdp/open.hpp"
#include "nic/discard/discard_port.hpp"
#include "nic/dpdk/nic_config.h"
#if STRICTSEND_HAVE_DPDK
#include "nic/dpdk/open.hpp"
#endif
#include "nic/pcap/pcap_port.hpp"

namespace strictsend::nic {
namespace {

Time wall_clock() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return Time{std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec};
}

/// The first IPv4 address of an interface.
std::optional<std::array<std::uint8_t, 4>> interface_address(const std::string& name) {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return std::nullopt;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
  for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next) {
    if (at->ifa_addr == nullptr || at->ifa_addr->sa_family != AF_INET || name != at->ifa_name) {
      continue;
    }
    sockaddr_in address{};
    std::memcpy(&address, at->ifa_addr, sizeof address);
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &address.sin_addr, bytes.size());
    return bytes;
  }
  return std::nullopt;
}

template <class Backend>
Result<OpenedPort> opened(Result<std::unique_ptr<Backend>> port,
                          std::optional<std::array<std::uint8_t, 4>> address) {
  if (!port) return tl::unexpected(std::move(port.error()));
  return OpenedPort{std::move(*port), address};
}

Result<OpenedPort> open_dpdk([[maybe_unused]] const std::string& device,
                             [[maybe_unused]] const OpenPortOptions& options) {
#if STRICTSEND_HAVE_DPDK
  dpdk::DpdkConfig config;
  config.device = device;
  config.queues = options.queues;
  config.mtu_bytes = options.mtu_bytes;
  return opened(dpdk::open_port(config, options.arguments, options.memory), std::nullopt);
#else
  return fail("open NIC", ENOTSUP,
              "this build has no DPDK: install libdpdk-dev and build with -Ddpdk=enabled");
#endif
}

Result<OpenedPort> open_backend(const std::string& backend, const std::string& device,
                                const OpenPortOptions& options) {
  const DmaMemory& memory = options.memory;
  if (backend == "dpdk") return open_dpdk(device, options);
  if (!options.arguments.empty()) {
    return fail("open NIC", EINVAL,
                "arguments for the backend are DPDK's; " + backend + ": takes none");
  }
  if (options.mtu_bytes != 0) {
    return fail("open NIC", EINVAL,
                "the MTU of " + backend + ": is the interface's; set it with ip link set mtu");
  }
  if (backend == "af_xdp") {
    if (device.empty()) {
      return fail("open NIC", EINVAL, "name the interface: af_xdp:eth0 (ip link lists them)");
    }
    af_xdp::AfXdpConfig config;
    config.interface_name = device;
    return opened(af_xdp::open_port(config, memory), interface_address(device));
  }
  if (backend == "discard") {
    return opened(DiscardPort::create(DiscardConfig{}, memory),
                  std::array<std::uint8_t, 4>{192, 0, 2, 1});
  }
  return fail(
      "open NIC", EINVAL,
      "unknown kind \"" + backend + "\"; known are af_xdp:INTERFACE, dpdk:PORT and discard:");
}

}  // namespace

Result<OpenedPort> open_port(const OpenPortOptions& options) {
  const std::size_t colon = options.spec.find(':');
  if (colon == std::string::npos) {
    return fail("open NIC", EINVAL,
                "\"" + options.spec + "\" is not KIND:DEVICE; for example af_xdp:eth0");
  }
  Result<OpenedPort> port =
      open_backend(options.spec.substr(0, colon), options.spec.substr(colon + 1), options);
  if (!port || options.pcap_path.empty()) return port;
  auto recording =
      PcapPort::create(std::move(port->port), options.memory, options.pcap_path, &wall_clock);
  if (!recording) return tl::unexpected(std::move(recording.error()));
  port->port = std::move(*recording);
  return port;
}

}  // namespace strictsend::nic
