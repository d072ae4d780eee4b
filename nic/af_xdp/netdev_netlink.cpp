// SPDX-License-Identifier: Apache-2.0
#include "nic/af_xdp/netdev_netlink.hpp"

#include <linux/genetlink.h>

#include "nic/af_xdp/kernel_abi.hpp"
#include "nic/af_xdp/netlink.hpp"

namespace strictsend::nic::af_xdp {
namespace {

/// Asks generic netlink's `family`, and hands the attributes of each answer to `visitor`.
template <class Put, class Visitor>
bool ask(mnl_socket* socket, std::uint16_t family, std::uint8_t command, const Put& put,
         Visitor& visitor) {
  NetlinkExchange<genlmsghdr> exchange(family);
  exchange.body->cmd = command;
  exchange.body->version = 1;
  put(exchange.header);
  auto ignore = [](const genlmsghdr&) {};
  return exchange.run(socket, ignore, visitor) == 0;
}

std::uint16_t find_family(mnl_socket* socket) {
  std::uint16_t id = 0;
  auto visitor = [&id](const nlattr* attribute) {
    if (mnl_attr_get_type(attribute) == CTRL_ATTR_FAMILY_ID) id = mnl_attr_get_u16(attribute);
  };
  const auto put = [](nlmsghdr* header) {
    mnl_attr_put_strz(header, CTRL_ATTR_FAMILY_NAME, abi::netdev_family);
  };
  return ask(socket, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, put, visitor) ? id : std::uint16_t{0};
}

}  // namespace

std::optional<NetdevFeatures> query_netdev_features(std::uint32_t interface_index) {
  const NetlinkSocket socket = open_netlink(NETLINK_GENERIC);
  if (!socket) return std::nullopt;
  const std::uint16_t family = find_family(socket.get());
  if (family == 0) return std::nullopt;

  NetdevFeatures features;
  auto visitor = [&features](const nlattr* attribute) {
    switch (mnl_attr_get_type(attribute)) {
      case abi::netdev_attr_xdp_features:
        features.native_xdp =
            (mnl_attr_get_u64(attribute) & abi::xdp_feature_basic) == abi::xdp_feature_basic;
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
  const auto put = [interface_index](nlmsghdr* header) {
    mnl_attr_put_u32(header, abi::netdev_attr_ifindex, interface_index);
  };
  if (!ask(socket.get(), family, abi::netdev_cmd_dev_get, put, visitor)) return std::nullopt;
  return features;
}

}  // namespace strictsend::nic::af_xdp
