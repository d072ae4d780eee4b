// SPDX-License-Identifier: Apache-2.0
#include "engine/host/host_config.hpp"

#include <cerrno>
#include <string>

namespace strictsend::engine {
namespace {

std::uint32_t number_of(const Ipv4Address& address) {
  return std::uint32_t{address[0]} << 24 | std::uint32_t{address[1]} << 16 |
         std::uint32_t{address[2]} << 8 | address[3];
}

std::uint32_t host_mask(std::uint8_t prefix_bits) {
  return prefix_bits == 0 ? 0xffffffff : (std::uint32_t{1} << (32 - prefix_bits)) - 1;
}

/// Of a network of more than two addresses the first is its own and the last its broadcast address;
/// of two both are hosts' (RFC 3021 §2.1).
bool names_whole_network(const Ipv4Address& address, std::uint8_t prefix_bits) {
  const std::uint32_t mask = host_mask(prefix_bits);
  const std::uint32_t host = number_of(address) & mask;
  return mask > 1 && (host == 0 || host == mask);
}

/// 0/8 "this host", 127/8 loopback, 224/4 groups and 240/4 reserved: RFC 6890 §2.2.2.
bool can_be_host(const Ipv4Address& address) {
  return address[0] != 0 && address[0] != 127 && address[0] < 224;
}

std::string text_of(const Ipv4Address& address) {
  return std::to_string(address[0]) + '.' + std::to_string(address[1]) + '.' +
         std::to_string(address[2]) + '.' + std::to_string(address[3]);
}

}  // namespace

bool HostConfig::on_link(const Ipv4Address& other) const {
  return ((number_of(address) ^ number_of(other)) & ~host_mask(prefix_bits)) == 0;
}

bool HostConfig::may_be_peer(const Ipv4Address& other) const {
  return can_be_host(other) && other != address &&
         !(on_link(other) && names_whole_network(other, prefix_bits));
}

Result<HostConfig> make_host_config(const EngineConfig& config, const nic::PortCapabilities& port) {
  const auto bad = [](const std::string& hint) { return fail("engine address", EINVAL, hint); };
  if (!config.address) {
    return fail("engine address", EADDRNOTAVAIL,
                "no kernel stands behind this port to have given it one: say which address and "
                "network are free for it, for example --address 10.0.0.1/24");
  }
  const HostConfig host{.mac = port.mac,
                        .address = *config.address,
                        .prefix_bits = config.prefix_bits,
                        .gateway = config.gateway};
  const std::string own = text_of(host.address);
  if (host.prefix_bits < 1 || host.prefix_bits > 31) {
    return bad("a network's prefix has 1 to 31 bits, as in --address " + own + "/24");
  }
  const std::string network = own + '/' + std::to_string(host.prefix_bits);
  if (!can_be_host(host.address)) {
    return bad(own + " is no single host's address; take a free one of the interface's network");
  }
  if (names_whole_network(host.address, host.prefix_bits)) {
    return bad(own + " is the first or last address of the network " + network +
               ", which stand for all of its hosts; take another, or correct the prefix");
  }
  if (!host.gateway) return host;
  const std::string gateway = text_of(*host.gateway);
  if (*host.gateway == host.address) {
    return bad("the gateway " + gateway + " is this host's own address; name the router's");
  }
  if (!host.on_link(*host.gateway)) {
    return bad("the gateway " + gateway + " is not in the network of " + network +
               ", so it cannot be reached; correct one of the two");
  }
  if (!host.may_be_peer(*host.gateway)) {
    return bad("the gateway " + gateway + " is no single host's address in the network of " +
               network + "; name the router's");
  }
  return host;
}

}  // namespace strictsend::engine
