// SPDX-License-Identifier: Apache-2.0
#include "nic/af_xdp/next_hop.hpp"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <span>

#include <libmnl/libmnl.h>

#include "nic/af_xdp/netdev.hpp"
#include "nic/af_xdp/netlink.hpp"

namespace strictsend::nic::af_xdp {
namespace {

std::uint8_t family_of(const IpAddress& address) {
  return address.is_v4() ? AF_INET : AF_INET6;
}

std::uint8_t bits_of(const IpAddress& address) {
  return static_cast<std::uint8_t>(address.bytes().size() * 8);
}

std::optional<IpAddress> address_in(std::span<const std::uint8_t> bytes) {
  if (bytes.size() == Ipv4Address{}.size()) {
    Ipv4Address address{};
    std::ranges::copy(bytes, address.begin());
    return address;
  }
  Ipv6Address address{};
  if (bytes.size() != address.size()) return std::nullopt;
  std::ranges::copy(bytes, address.begin());
  return address;
}

std::span<const std::uint8_t> payload_of(const nlattr* attribute) {
  return {static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute)),
          mnl_attr_get_payload_len(attribute)};
}

void put_address(nlmsghdr* header, std::uint16_t type, const IpAddress& address) {
  mnl_attr_put(header, type, address.bytes().size(), address.bytes().data());
}

tl::unexpected<Error> no_way(const IpAddress& peer, const std::string& device, int error) {
  return fail("route to " + to_string(peer), error,
              "the kernel has none over " + device + ": add one (ip route add), or open the port " +
                  "that leads there");
}

/// Whether the kernel has this address too. It does not say how it would send from another.
bool is_own(mnl_socket* socket, const IpAddress& address) {
  std::uint8_t type = RTN_UNSPEC;
  auto on_body = [&type](const rtmsg& answer) { type = answer.rtm_type; };
  auto ignore = [](const nlattr*) {};
  NetlinkExchange<rtmsg> exchange(RTM_GETROUTE);
  exchange.body->rtm_family = family_of(address);
  exchange.body->rtm_dst_len = bits_of(address);
  put_address(exchange.header, RTA_DST, address);
  return exchange.run(socket, on_body, ignore) == 0 && type == RTN_LOCAL;
}

/// The neighbour that packets for the peer go to.
Result<IpAddress> route(mnl_socket* socket, const RouteQuery& query, const std::string& device,
                        std::uint32_t index) {
  const IpAddress& peer = query.peer;
  std::uint8_t type = RTN_UNSPEC;
  std::uint32_t out = 0;
  IpAddress hop = peer;
  auto on_body = [&type](const rtmsg& answer) { type = answer.rtm_type; };
  auto on_attribute = [&](const nlattr* attribute) {
    std::optional<IpAddress> gateway;
    switch (mnl_attr_get_type(attribute)) {
      case RTA_OIF:
        out = mnl_attr_get_u32(attribute);
        break;
      case RTA_GATEWAY:
        gateway = address_in(payload_of(attribute));
        break;
      case RTA_VIA:  // a gateway of the other family (RFC 8950): the address is behind its name
        if (payload_of(attribute).size() > sizeof(rtvia))
          gateway = address_in(payload_of(attribute).subspan(sizeof(rtvia)));
        break;
      default:
        break;
    }
    hop = gateway.value_or(hop);
  };
  // So that rules about it (ip rule from) count.
  const bool from_own = is_own(socket, query.source);
  const auto ask = [&](std::uint32_t flags) {
    NetlinkExchange<rtmsg> exchange(RTM_GETROUTE);
    exchange.body->rtm_family = family_of(peer);
    exchange.body->rtm_dst_len = bits_of(peer);
    exchange.body->rtm_flags = flags;
    put_address(exchange.header, RTA_DST, peer);
    if (from_own) {
      exchange.body->rtm_src_len = bits_of(query.source);
      put_address(exchange.header, RTA_SRC, query.source);
    }
    mnl_attr_put_u32(exchange.header, RTA_OIF, index);
    return exchange.run(socket, on_body, on_attribute);
  };
  // Told an interface, IPv4 takes everybody for a neighbour there whom no route knows: so first
  // whether there is a route at all.
  if (const int error = ask(RTM_F_FIB_MATCH); error != 0) return no_way(peer, device, error);
  hop = peer;
  if (const int error = ask(0); error != 0) return no_way(peer, device, error);
  if (type != RTN_UNICAST) {
    return fail("route to " + to_string(peer), EINVAL,
                "it is an address of this machine, or no single host's");
  }
  if (out != index) return no_way(peer, device, ENETUNREACH);
  return hop;
}

/// What the kernel's entry of a neighbour says.
struct Known {
  std::uint16_t state = NUD_NONE;  ///< NUD_…
  std::optional<MacAddress> mac;

  [[nodiscard]] NextHop next_hop() const {
    constexpr std::uint16_t valid =
        NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY;
    if ((state & valid) != 0 && mac) return {NextHop::State::found, *mac};
    return {(state & NUD_FAILED) != 0 ? NextHop::State::unreachable : NextHop::State::asking, {}};
  }
  /// Somebody has said where it is, and it is to stay there: using the entry would make it one that
  /// the kernel asks for.
  [[nodiscard]] bool is_fixed() const { return (state & (NUD_PERMANENT | NUD_NOARP)) != 0; }
};

Known look_up(mnl_socket* socket, const IpAddress& neighbour, std::uint32_t index) {
  Known known;
  auto on_body = [&known](const ndmsg& answer) { known.state = answer.ndm_state; };
  auto on_attribute = [&known](const nlattr* attribute) {
    if (mnl_attr_get_type(attribute) != NDA_LLADDR) return;
    const std::span<const std::uint8_t> bytes = payload_of(attribute);
    MacAddress mac{};
    if (bytes.size() != mac.size()) return;
    std::ranges::copy(bytes, mac.begin());
    known.mac = mac;
  };
  NetlinkExchange<ndmsg> exchange(RTM_GETNEIGH);
  exchange.body->ndm_family = family_of(neighbour);
  exchange.body->ndm_ifindex = static_cast<int>(index);
  put_address(exchange.header, NDA_DST, neighbour);
  // ENOENT: nobody has asked yet.
  if (exchange.run(socket, on_body, on_attribute) != 0) return {};
  return known;
}

/// What the kernel does for a packet of its own: asks for who is not known, confirms who is stale.
void use(mnl_socket* socket, const IpAddress& neighbour, std::uint32_t index) {
  auto ignore = [](const auto&) {};
  NetlinkExchange<ndmsg> exchange(RTM_NEWNEIGH, NLM_F_CREATE);
  exchange.body->ndm_family = family_of(neighbour);
  exchange.body->ndm_ifindex = static_cast<int>(index);
  exchange.body->ndm_flags = NTF_USE;
  put_address(exchange.header, NDA_DST, neighbour);
  exchange.run(socket, ignore, ignore);
}

}  // namespace

Result<NextHop> kernel_next_hop(const std::string& interface, const RouteQuery& query) {
  std::string device = interface;
  if (query.vlan_id) {
    std::optional<std::string> above = vlan_device(interface, *query.vlan_id);
    if (!above) {
      return fail("route to " + to_string(query.peer), ENODEV,
                  "the kernel has no device for this VLAN on " + interface +
                      " and so does not know who is there: add one (ip link add link)");
    }
    device = std::move(*above);
  }
  const std::uint32_t index = ::if_nametoindex(device.c_str());
  if (index == 0) return fail("route to " + to_string(query.peer), errno, device + " is gone");
  const NetlinkSocket socket = open_netlink(NETLINK_ROUTE);
  if (!socket) return fail("netlink socket", errno, "raise RLIMIT_NOFILE (ulimit -n)");
  const Result<IpAddress> neighbour = route(socket.get(), query, device, index);
  if (!neighbour) return tl::unexpected(neighbour.error());
  const Known known = look_up(socket.get(), *neighbour, index);
  if (!known.is_fixed()) use(socket.get(), *neighbour, index);
  return known.next_hop();
}

}  // namespace strictsend::nic::af_xdp
