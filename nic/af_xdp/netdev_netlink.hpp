// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "nic/af_xdp/netdev.hpp"

namespace strictsend::nic::af_xdp {

/// Asks the generic netlink family "netdev". Nothing: the kernel has no such family (before 6.3),
/// or did not answer. Set-up thread; blocks for the kernel's answer alone.
std::optional<NetdevFeatures> query_netdev_features(std::uint32_t interface_index);

}  // namespace strictsend::nic::af_xdp
