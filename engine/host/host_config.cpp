// SPDX-License-Identifier: Apache-2.0
#include "engine/host/host_config.hpp"

#include <algorithm>
#include <array>
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

bool same_prefix(const Ipv6Address& one, const Ipv6Address& other, std::uint8_t bits) {
  const std::size_t whole = bits / 8U;
  if (!std::equal(one.begin(), one.begin() + whole, other.begin())) return false;
  const unsigned rest = bits % 8U;
  return rest == 0 || ((one[whole] ^ other[whole]) >> (8 - rest)) == 0;
}

bool is_link_local(const Ipv6Address& address) {
  return address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
}

/// An IPv4 address in the form that IPv6 has for it: RFC 4291 §2.5.5.2. It is for programs, no
/// packet has it, and the neighbour table keeps IPv4's own in this form.
std::optional<Ipv4Address> mapped_ipv4(const Ipv6Address& address) {
  constexpr std::array<std::uint8_t, 12> prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (!std::equal(prefix.begin(), prefix.end(), address.begin())) return std::nullopt;
  return Ipv4Address{address[12], address[13], address[14], address[15]};
}

/// Neither "unspecified", loopback, a group nor IPv4's: RFC 4291 §2.5.2, §2.5.3, §2.7.
bool can_be_host(const Ipv6Address& address) {
  const bool zeros =
      std::all_of(address.begin(), address.end() - 1, [](std::uint8_t byte) { return byte == 0; });
  return !(zeros && address.back() <= 1) && address[0] != 0xff && !mapped_ipv4(address);
}

}  // namespace

bool HostConfig::is_own(const IpAddress& other) const {
  return other.is_v4() ? address && *address == other.v4() : address6 && *address6 == other.v6();
}

bool HostConfig::on_link(const IpAddress& other) const {
  if (other.is_v6())
    return is_link_local(other.v6()) ||
           (address6 && same_prefix(*address6, other.v6(), prefix6_bits));
  return address && ((number_of(*address) ^ number_of(other.v4())) & ~host_mask(prefix_bits)) == 0;
}

bool HostConfig::may_be_peer(const IpAddress& other) const {
  if (is_own(other)) return false;
  if (other.is_v6()) return address6 && can_be_host(other.v6());
  return address && can_be_host(other.v4()) &&
         !(on_link(other) && names_whole_network(other.v4(), prefix_bits));
}

std::optional<IpAddress> HostConfig::gateway_for(const IpAddress& other) const {
  if (other.is_v4()) return gateway ? std::optional<IpAddress>(*gateway) : std::nullopt;
  return gateway6 ? std::optional<IpAddress>(*gateway6) : std::nullopt;
}

namespace {

tl::unexpected<Error> bad(const std::string& hint) {
  return fail("engine address", EINVAL, hint);
}

Result<void> check_gateway(const HostConfig& host, const std::string& network,
                           const IpAddress& gateway) {
  const std::string text = to_string(gateway);
  if (host.is_own(gateway))
    return bad("the gateway " + text + " is this host's own address; name the router's");
  if (!host.on_link(gateway))
    return bad("the gateway " + text + " is not in the network of " + network +
               ", so it cannot be reached; correct one of the two");
  if (!host.may_be_peer(gateway))
    return bad("the gateway " + text + " is no single host's address in the network of " + network +
               "; name the router's");
  return {};
}

Result<void> check_ipv4(const HostConfig& host) {
  if (!host.address) {
    if (!host.gateway) return {};
    return bad("the gateway " + to_string(IpAddress(*host.gateway)) +
               " is of no use without an IPv4 address: name both or neither");
  }
  const std::string own = to_string(IpAddress(*host.address));
  if (host.prefix_bits < 1 || host.prefix_bits > 31)
    return bad("a network's prefix has 1 to 31 bits, as in --address " + own + "/24");
  const std::string network = own + '/' + std::to_string(host.prefix_bits);
  if (!can_be_host(*host.address))
    return bad(own + " is no single host's address; take a free one of the interface's network");
  if (names_whole_network(*host.address, host.prefix_bits))
    return bad(own + " is the first or last address of the network " + network +
               ", which stand for all of its hosts; take another, or correct the prefix");
  return host.gateway ? check_gateway(host, network, *host.gateway) : Result<void>{};
}

Result<void> check_not_mapped(const Ipv6Address& address) {
  const std::optional<Ipv4Address> v4 = mapped_ipv4(address);
  if (!v4) return {};
  return bad(to_string(IpAddress(address)) + " is an IPv4 address written as an IPv6 one; say " +
             to_string(IpAddress(*v4)));
}

Result<void> check_ipv6(const HostConfig& host) {
  if (!host.address6) {
    if (!host.gateway6) return {};
    return bad("the gateway " + to_string(IpAddress(*host.gateway6)) +
               " is of no use without an IPv6 address: name both or neither");
  }
  const std::string own = to_string(IpAddress(*host.address6));
  for (const std::optional<Ipv6Address>& address : {host.address6, host.gateway6}) {
    if (!address) continue;
    if (Result<void> checked = check_not_mapped(*address); !checked) return checked;
  }
  if (host.prefix6_bits < 1 || host.prefix6_bits > 127)
    return bad("an IPv6 network's prefix has 1 to 127 bits, as in --address " + own + "/64");
  if (!can_be_host(*host.address6))
    return bad(own + " is no single host's address; take a free one of the interface's network");
  const std::string network = own + '/' + std::to_string(host.prefix6_bits);
  return host.gateway6 ? check_gateway(host, network, *host.gateway6) : Result<void>{};
}

}  // namespace

Result<HostConfig> make_host_config(const EngineConfig& config, const nic::PortCapabilities& port) {
  if (!config.address && !config.address6) {
    return fail("engine address", EADDRNOTAVAIL,
                "no kernel stands behind this port to have given it one: say which address and "
                "network are free for it, for example --address 10.0.0.1/24 or --address "
                "2001:db8::1/64");
  }
  const HostConfig host{.mac = port.mac,
                        .address = config.address,
                        .prefix_bits = config.prefix_bits,
                        .gateway = config.gateway,
                        .address6 = config.address6,
                        .prefix6_bits = config.prefix6_bits,
                        .gateway6 = config.gateway6,
                        .vlan_id = config.vlan_id};
  if (const Result<void> checked = check_ipv4(host); !checked)
    return tl::unexpected(checked.error());
  if (const Result<void> checked = check_ipv6(host); !checked)
    return tl::unexpected(checked.error());
  return host;
}

}  // namespace strictsend::engine
