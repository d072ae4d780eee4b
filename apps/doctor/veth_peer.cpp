// SPDX-License-Identifier: Apache-2.0
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <memory>
#include <sched.h>
#include <thread>
#include <vector>

#include <libmnl/libmnl.h>

#include "apps/doctor/ethtool.hpp"
#include "apps/doctor/probes.hpp"

namespace strictsend::doctor {
namespace {

namespace fs = std::filesystem;

struct CloseSocket {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
using Socket = std::unique_ptr<mnl_socket, CloseSocket>;

/// Sends one request of rtnetlink's and hands the attributes of its answer to `visitor`. `put`
/// writes what stands behind the header, which is `body_bytes` of it and then attributes.
bool ask(mnl_socket* socket, std::uint16_t type, std::size_t body_bytes,
         const std::function<void(nlmsghdr*)>& put,
         const std::function<void(const nlattr*)>& visitor) {
  alignas(nlmsghdr) std::array<char, 16384> buffer{};
  nlmsghdr* const header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = type;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  header->nlmsg_seq = 1;
  put(header);
  if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0) return false;
  struct Context {
    std::size_t body_bytes;
    const std::function<void(const nlattr*)>& visitor;
  } context{body_bytes, visitor};
  const auto on_message = [](const nlmsghdr* answer, void* data) {
    const auto& into = *static_cast<Context*>(data);
    const auto each = [](const nlattr* attribute, void* inner) {
      static_cast<Context*>(inner)->visitor(attribute);
      return MNL_CB_OK;
    };
    return mnl_attr_parse(answer, static_cast<unsigned>(into.body_bytes), each, data);
  };
  int state = MNL_CB_OK;
  while (state > MNL_CB_STOP) {
    const ssize_t got = mnl_socket_recvfrom(socket, buffer.data(), buffer.size());
    if (got <= 0) return false;
    state = mnl_cb_run(buffer.data(), static_cast<std::size_t>(got), 1,
                       mnl_socket_get_portid(socket), on_message, &context);
  }
  return state == MNL_CB_STOP;
}

struct Link {
  std::uint32_t peer_index = 0;
  std::optional<std::int32_t> peer_namespace;  ///< as this namespace numbers it; empty: this one
};

Link link_of(mnl_socket* socket, const std::string& name) {
  Link link;
  const auto put = [&](nlmsghdr* header) {
    auto* const body =
        static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg)));
    body->ifi_index = static_cast<int>(::if_nametoindex(name.c_str()));
  };
  ask(socket, RTM_GETLINK, sizeof(ifinfomsg), put, [&](const nlattr* attribute) {
    if (mnl_attr_get_type(attribute) == IFLA_LINK) link.peer_index = mnl_attr_get_u32(attribute);
    if (mnl_attr_get_type(attribute) == IFLA_LINK_NETNSID)
      link.peer_namespace = static_cast<std::int32_t>(mnl_attr_get_u32(attribute));
  });
  return link;
}

/// The number that this namespace has for the one that `fd` refers to; -1: none.
std::int32_t number_of(mnl_socket* socket, int fd) {
  std::int32_t number = -1;
  const auto put = [&](nlmsghdr* header) {
    mnl_nlmsg_put_extra_header(header, sizeof(rtgenmsg));
    mnl_attr_put_u32(header, NETNSA_FD, static_cast<std::uint32_t>(fd));
  };
  ask(socket, RTM_GETNSID, sizeof(rtgenmsg), put, [&](const nlattr* attribute) {
    if (mnl_attr_get_type(attribute) == NETNSA_NSID)
      number = static_cast<std::int32_t>(mnl_attr_get_u32(attribute));
  });
  return number;
}

/// Asks in the calling thread's namespace.
std::optional<PeerFacts> peer_here(std::uint32_t index, const std::string& enter) {
  std::array<char, IF_NAMESIZE> name{};
  if (::if_indextoname(index, name.data()) == nullptr) return std::nullopt;
  const Ethtool ethtool(name.data());
  if (ethtool.driver() != "veth") return std::nullopt;
  return PeerFacts{name.data(), enter, ethtool.value(ETHTOOL_GTXCSUM) != 0,
                   (ethtool.value(ETHTOOL_GFLAGS) & ETH_FLAG_TXVLAN) != 0};
}

struct Candidate {
  fs::path path;
  std::string enter;
};

/// Names first: they stay when a process ends.
std::vector<Candidate> namespaces() {
  std::vector<Candidate> all;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/run/netns", error))
    all.push_back({entry.path(), "ip netns exec " + entry.path().filename().string()});
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    const std::string pid = entry.path().filename().string();
    if (pid.find_first_not_of("0123456789") == std::string::npos)
      all.push_back({entry.path() / "ns/net", "nsenter -t " + pid + " -n"});
  }
  return all;
}

}  // namespace

std::optional<PeerFacts> find_veth_peer(const std::string& name) {
  const Socket socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0) return std::nullopt;
  const Link link = link_of(socket.get(), name);
  if (link.peer_index == 0) return std::nullopt;
  if (!link.peer_namespace) return peer_here(link.peer_index, {});
  for (const Candidate& candidate : namespaces()) {
    const app::UniqueFd fd(::open(candidate.path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid() || number_of(socket.get(), fd.get()) != *link.peer_namespace) continue;
    std::optional<PeerFacts> peer;
    // A thread of its own, because entering is for good.
    std::thread([&] {
      if (::setns(fd.get(), CLONE_NEWNET) == 0) peer = peer_here(link.peer_index, candidate.enter);
    }).join();
    if (peer) return peer;
  }
  return std::nullopt;
}

}  // namespace strictsend::doctor
