// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace strictsend::nic::dpdk {

/// Starts DPDK's environment abstraction layer with `arguments` (those of any DPDK program), or
/// does nothing if this process has it already with the same ones. A process has one for its
/// whole life; it cannot be started again after it failed.
///
/// Unless the arguments say otherwise: threads are left on whatever processors the caller may use,
/// and nothing is shared with other DPDK processes. EAL's log goes to ours; what it complained
/// about is in the error. Set-up thread.
Result<void> start_eal(const std::vector<std::string>& arguments);

/// What --vdev said of the device `name` when EAL was started, "net_tap0,iface=tap0"; `name` alone
/// if nothing did. EAL forgets it when the device is removed, and it can be probed again with this.
[[nodiscard]] std::string vdev_specification(const std::string& name);

/// The last things that DPDK said at the level of an error, in one line; and forgets them.
[[nodiscard]] std::string take_eal_complaints();

/// What to do about EAL's not starting, by what it complained of. Pure.
[[nodiscard]] std::string eal_hint(const std::string& complaints);

}  // namespace strictsend::nic::dpdk
