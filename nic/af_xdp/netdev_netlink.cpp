// SPDX-License-Identifier: Apache-2.0
#include "nic/af_xdp/netdev_netlink.hpp"

#include <linux/genetlink.h>

#include <array>
#include <memory>

#include <libmnl/libmnl.h>

#include "nic/af_xdp/kernel_abi.hpp"

namespace strictsend::nic::af_xdp {
namespace {

struct CloseSocket {
  void operator()(mnl_socket* socket) const { mnl_socket_close(socket); }
};
using NetlinkSocket = std::unique_ptr<mnl_socket, CloseSocket>;

/// One request and its answer, in one buffer. Big enough for what is asked here.
struct Exchange {
  alignas(nlmsghdr) std::array<char, 8192> buffer{};
  nlmsghdr* header = nullptr;

  Exchange(std::uint16_t family, std::uint8_t command, std::uint8_t version) {
    header = mnl_nlmsg_put_header(buffer.data());
    header->nlmsg_type = family;
    header->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    header->nlmsg_seq = 1;
    auto* generic =
        static_cast<genlmsghdr*>(mnl_nlmsg_put_extra_header(header, sizeof(genlmsghdr)));
    generic->cmd = command;
    generic->version = version;
  }

  /// Sends it and hands the attributes of each answer to `attribute`; false: refused.
  template <class Visitor>
  bool run(mnl_socket* socket, Visitor& visitor) {
    if (mnl_socket_sendto(socket, header, header->nlmsg_len) < 0) return false;
    const auto on_message = [](const nlmsghdr* answer, void* data) {
      const auto on_attribute = [](const nlattr* attribute, void* inner) {
        (*static_cast<Visitor*>(inner))(attribute);
        return MNL_CB_OK;
      };
      return mnl_attr_parse(answer, sizeof(genlmsghdr), on_attribute, data);
    };
    int state = MNL_CB_OK;
    while (state > MNL_CB_STOP) {
      const ssize_t got = mnl_socket_recvfrom(socket, buffer.data(), buffer.size());
      if (got <= 0) return false;
      state = mnl_cb_run(buffer.data(), static_cast<std::size_t>(got), 1,
                         mnl_socket_get_portid(socket), on_message, &visitor);
    }
    return state == MNL_CB_STOP;
  }
};

std::uint16_t find_family(mnl_socket* socket) {
  std::uint16_t id = 0;
  auto visitor = [&id](const nlattr* attribute) {
    if (mnl_attr_get_type(attribute) == CTRL_ATTR_FAMILY_ID) id = mnl_attr_get_u16(attribute);
  };
  Exchange exchange(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, 1);
  mnl_attr_put_strz(exchange.header, CTRL_ATTR_FAMILY_NAME, abi::netdev_family);
  return exchange.run(socket, visitor) ? id : std::uint16_t{0};
}

}  // namespace

std::optional<NetdevFeatures> query_netdev_features(std::uint32_t interface_index) {
  const NetlinkSocket socket(mnl_socket_open(NETLINK_GENERIC));
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) != 0) return std::nullopt;
  const std::uint16_t family = find_family(socket.get());
  if (family == 0) return std::nullopt;

  NetdevFeatures features;
  auto visitor = [&features](const nlattr* attribute) {
    switch (mnl_attr_get_type(attribute)) {
      case abi::netdev_attr_xdp_features:
        features.zero_copy = (mnl_attr_get_u64(attribute) & abi::xdp_feature_zero_copy) != 0;
        break;
      case abi::netdev_attr_zero_copy_max_segments:
        features.zero_copy_max_segments = mnl_attr_get_u32(attribute);
        break;
      case abi::netdev_attr_xsk_features:
        features.tx_checksum = (mnl_attr_get_u64(attribute) & abi::xsk_feature_tx_checksum) != 0;
        break;
      default:
        break;
    }
  };
  Exchange exchange(family, abi::netdev_cmd_dev_get, 1);
  mnl_attr_put_u32(exchange.header, abi::netdev_attr_ifindex, interface_index);
  if (!exchange.run(socket.get(), visitor)) return std::nullopt;
  return features;
}

}  // namespace strictsend::nic::af_xdp
