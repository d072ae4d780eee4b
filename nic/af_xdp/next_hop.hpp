// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.hpp"
#include "nic/port.hpp"

namespace strictsend::nic::af_xdp {

/// Port::next_hop by the kernel's routes and neighbours: the route over this interface, or over the
/// VLAN device on top of it, then the neighbour, whom the kernel is told to use and so to ask for
/// or to confirm (NTF_USE), as for a packet of its own. Any thread whose network namespace is the
/// interface's; blocks for the kernel's answers alone. IPv6 needs the interface to have a
/// link-local address (RFC 4291 §2.1), for the kernel asks from it.
Result<NextHop> kernel_next_hop(const std::string& interface, const RouteQuery& query);

}  // namespace strictsend::nic::af_xdp
