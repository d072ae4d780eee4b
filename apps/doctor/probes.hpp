// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "apps/doctor/facts.hpp"
#include "apps/doctor/options.hpp"

// Where facts come from: each asks the running kernel, as the calling process and in its network
// namespace.
namespace strictsend::doctor {

[[nodiscard]] MachineFacts probe_machine(const Options& options);
[[nodiscard]] InterfaceFacts probe_af_xdp(const Options& options, const std::string& name);
[[nodiscard]] DpdkFacts probe_dpdk(const Options& options, const std::string& device);

/// Finds the other end of a veth, in whichever namespace it is that can be entered: those under
/// /run/netns and those of processes.
[[nodiscard]] std::optional<PeerFacts> find_veth_peer(const std::string& name);

}  // namespace strictsend::doctor
