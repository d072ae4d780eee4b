// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>

#include <libmnl/libmnl.h>

namespace strictsend::nic::af_xdp {

struct CloseNetlinkSocket {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
using NetlinkSocket = std::unique_ptr<mnl_socket, CloseNetlinkSocket>;

/// `bus`: NETLINK_ROUTE, NETLINK_GENERIC, …; null, with errno: there is none to be had.
inline NetlinkSocket open_netlink(int bus) {
  NetlinkSocket socket(mnl_socket_open2(bus, SOCK_CLOEXEC));
  if (socket && mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0) socket.reset();
  return socket;
}

/// One request, which `Body` stands in front of, and its answers, in one buffer. Big enough for
/// what is asked here. Setup code: it waits for the kernel.
template <class Body>
struct NetlinkExchange {
  alignas(nlmsghdr) std::array<char, 8192> buffer{};
  nlmsghdr* header = nullptr;  ///< attributes are put behind it
  Body* body = nullptr;

  explicit NetlinkExchange(std::uint16_t type, std::uint16_t flags = 0) {
    header = mnl_nlmsg_put_header(buffer.data());
    header->nlmsg_type = type;
    header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    header->nlmsg_seq = 1;
    body = static_cast<Body*>(mnl_nlmsg_put_extra_header(header, sizeof(Body)));
  }

  /// Hands each answer's body to `on_body` and its attributes to `on_attribute`; 0, or an errno.
  template <class OnBody, class OnAttribute>
  int run(mnl_socket* socket, OnBody& on_body, OnAttribute& on_attribute) {
    if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0) return errno;
    struct Visitors {
      OnBody& body;
      OnAttribute& attribute;
    } visitors{on_body, on_attribute};
    const auto on_message = [](const nlmsghdr* answer, void* data) {
      auto& visit = *static_cast<Visitors*>(data);
      visit.body(*static_cast<const Body*>(mnl_nlmsg_get_payload(answer)));
      const auto each = [](const nlattr* attribute, void* inner) {
        (*static_cast<OnAttribute*>(inner))(attribute);
        return MNL_CB_OK;
      };
      return mnl_attr_parse(answer, sizeof(Body), each, &visit.attribute);
    };
    int state = MNL_CB_OK;
    while (state > MNL_CB_STOP) {
      const ssize_t got = mnl_socket_recvfrom(socket, buffer.data(), buffer.size());
      if (got <= 0) return errno;
      state = mnl_cb_run(buffer.data(), static_cast<std::size_t>(got), 1,
                         mnl_socket_get_portid(socket), on_message, &visitors);
    }
    return state == MNL_CB_STOP ? 0 : errno;
  }
};

}  // namespace strictsend::nic::af_xdp
