// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <strictsend/probe.hpp>

namespace strictsend::nic {

/// As the public function of that name says. Beside open_port the one place that knows the
/// backends.
Result<InterfaceProbe> probe_interface(const std::string& name);
[[nodiscard]] bool has_dpdk();

}  // namespace strictsend::nic
