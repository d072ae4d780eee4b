// SPDX-License-Identifier: Apache-2.0
#include "nic/open_port.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ifaddrs.h>
#include <numeric>
#include <time.h>
#include <utility>

#include "nic/af_xdp/netdev.hpp"
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

struct InterfaceAddresses {
  std::optional<Ipv4Address> v4;
  std::optional<Ipv6Address> v6;
};

/// RFC 4291 §2.5.6.
bool is_link_local(const Ipv6Address& address) {
  return address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
}

void take_address(const sockaddr& found, InterfaceAddresses& addresses) {
  if (found.sa_family == AF_INET && !addresses.v4) {
    sockaddr_in address{};
    std::memcpy(&address, &found, sizeof address);
    std::memcpy(addresses.v4.emplace().data(), &address.sin_addr, sizeof address.sin_addr);
  } else if (found.sa_family == AF_INET6) {
    sockaddr_in6 address{};
    std::memcpy(&address, &found, sizeof address);
    Ipv6Address bytes{};
    std::memcpy(bytes.data(), &address.sin6_addr, bytes.size());
    if (!addresses.v6 || (is_link_local(*addresses.v6) && !is_link_local(bytes)))
      addresses.v6 = bytes;
  }
}

InterfaceAddresses addresses_of(const std::string& name) {
  InterfaceAddresses addresses;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return addresses;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(list, &::freeifaddrs);
  for (const ifaddrs* at = list; at != nullptr; at = at->ifa_next)
    if (at->ifa_addr != nullptr && name == at->ifa_name) take_address(*at->ifa_addr, addresses);
  return addresses;
}

InterfaceAddresses addresses_of(const std::string& name, std::optional<std::uint16_t> vlan_id) {
  if (!vlan_id) return addresses_of(name);
  const std::optional<std::string> device = af_xdp::vlan_device(name, *vlan_id);
  return device ? addresses_of(*device) : InterfaceAddresses{};
}

template <class Backend>
Result<OpenedPort> opened(Result<std::unique_ptr<Backend>> port,
                          const InterfaceAddresses& addresses) {
  if (!port) return tl::unexpected(std::move(port.error()));
  return OpenedPort{std::move(*port), addresses.v4, addresses.v6};
}

struct Spec {
  std::string backend;
  std::string device;
};

Result<Spec> parse_spec(const OpenPortOptions& options) {
  const std::string& spec = options.spec;
  const std::size_t colon = spec.find(':');
  if (colon == std::string::npos) {
    return fail("open NIC", EINVAL, "\"" + spec + "\" is not KIND:DEVICE; for example af_xdp:eth0");
  }
  Spec parsed{spec.substr(0, colon), spec.substr(colon + 1)};
  if (parsed.backend == "af_xdp" && parsed.device.empty()) {
    return fail("open NIC", EINVAL, "name the interface: af_xdp:eth0 (ip link lists them)");
  }
  if (parsed.backend != "dpdk" && !options.arguments.empty()) {
    return fail("open NIC", EINVAL,
                "arguments for the backend are DPDK's; " + parsed.backend + ": takes none");
  }
  if (parsed.backend != "dpdk" && options.mtu_bytes != 0) {
    return fail("open NIC", EINVAL,
                "the MTU of " + spec + " is the interface's; set it with ip link set mtu");
  }
  return parsed;
}

tl::unexpected<Error> unknown_backend(const std::string& backend) {
  return fail(
      "open NIC", EINVAL,
      "unknown kind \"" + backend + "\"; known are af_xdp:INTERFACE, dpdk:PORT and discard:");
}

#if STRICTSEND_HAVE_DPDK
dpdk::DpdkConfig dpdk_config(const Spec& spec, const OpenPortOptions& options) {
  dpdk::DpdkConfig config;
  config.device = spec.device;
  config.queues = options.queues;
  config.mtu_bytes = options.mtu_bytes;
  config.want_checksum_offload = options.checksum_offload;
  config.want_segmentation = options.segmentation_offload;
  return config;
}
Result<std::uint32_t> count_dpdk_queues(const Spec& spec, const OpenPortOptions& options) {
  return dpdk::queues_to_serve(dpdk_config(spec, options), options.arguments);
}
Result<OpenedPort> open_dpdk(const Spec& spec, const OpenPortOptions& options) {
  return opened(dpdk::open_port(dpdk_config(spec, options), options.arguments, options.memory), {});
}
#else
tl::unexpected<Error> no_dpdk() {
  return fail("open NIC", ENOTSUP,
              "this build has no DPDK: install libdpdk-dev and build with -Ddpdk=enabled");
}
Result<std::uint32_t> count_dpdk_queues(const Spec&, const OpenPortOptions&) {
  return no_dpdk();
}
Result<OpenedPort> open_dpdk(const Spec&, const OpenPortOptions&) {
  return no_dpdk();
}
#endif

Result<OpenedPort> open_backend(const Spec& spec, const OpenPortOptions& options) {
  const DmaMemory& memory = options.memory;
  if (spec.backend == "dpdk") return open_dpdk(spec, options);
  const Result<std::uint32_t> queues = queues_to_serve(options);
  if (!queues) return tl::unexpected(queues.error());
  if (spec.backend == "af_xdp") {
    af_xdp::AfXdpConfig config;
    config.interface_name = spec.device;
    config.want_checksum_offload = options.checksum_offload;
    config.queues.resize(*queues);
    std::iota(config.queues.begin(), config.queues.end(), 0U);
    return opened(af_xdp::open_port(config, memory), addresses_of(spec.device, options.vlan_id));
  }
  if (spec.backend == "discard") {
    DiscardConfig config;
    config.queues = *queues;
    config.checksum_offload = options.checksum_offload;
    return opened(DiscardPort::create(config, memory),
                  {.v4 = Ipv4Address{192, 0, 2, 1}, .v6 = std::nullopt});
  }
  return unknown_backend(spec.backend);
}

}  // namespace

Result<std::uint32_t> queues_to_serve(const OpenPortOptions& options) {
  const Result<Spec> spec = parse_spec(options);
  if (!spec) return tl::unexpected(spec.error());
  if (spec->backend == "dpdk") return count_dpdk_queues(*spec, options);
  if (spec->backend == "af_xdp") return af_xdp::queues_to_serve(spec->device, options.queues);
  if (spec->backend == "discard") return std::max(options.queues, 1U);
  return unknown_backend(spec->backend);
}

Result<OpenedPort> open_port(const OpenPortOptions& options) {
  const Result<Spec> spec = parse_spec(options);
  if (!spec) return tl::unexpected(spec.error());
  Result<OpenedPort> port = open_backend(*spec, options);
  if (!port || options.pcap_path.empty()) return port;
  auto recording =
      PcapPort::create(std::move(port->port), options.memory, options.pcap_path, &wall_clock);
  if (!recording) return tl::unexpected(std::move(recording.error()));
  port->port = std::move(*recording);
  return port;
}

Result<bool> clear_interface(const std::string& spec) {
  OpenPortOptions options;
  options.spec = spec;
  const Result<Spec> parsed = parse_spec(options);
  if (!parsed) return tl::unexpected(parsed.error());
  if (parsed->backend != "af_xdp") return false;
  return af_xdp::clear_interface(parsed->device);
}

}  // namespace strictsend::nic
