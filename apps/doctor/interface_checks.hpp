// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "apps/doctor/facts.hpp"
#include "apps/doctor/finding.hpp"

// What a kernel interface has to offer to AF_XDP.
namespace strictsend::doctor {

[[nodiscard]] Finding check_interface(const InterfaceFacts& facts);

// The rest is about an interface that exists.
[[nodiscard]] Finding check_link(const InterfaceFacts& facts);
[[nodiscard]] Finding check_address(const InterfaceFacts& facts);
[[nodiscard]] Finding check_use(const InterfaceFacts& facts);
[[nodiscard]] Finding check_other_program(const InterfaceFacts& facts, bool bpffs);
[[nodiscard]] Finding check_xdp_mode(const InterfaceFacts& facts);
[[nodiscard]] Finding check_fragments(const InterfaceFacts& facts, const KernelVersion& kernel);
[[nodiscard]] Finding check_checksums(const InterfaceFacts& facts, const KernelVersion& kernel);
[[nodiscard]] Finding check_queues(const InterfaceFacts& facts);
[[nodiscard]] Finding check_mtu(const InterfaceFacts& facts);
[[nodiscard]] Finding check_receive_merging(const InterfaceFacts& facts);
[[nodiscard]] Finding check_vlan_tags(const InterfaceFacts& facts);
/// Of a veth only.
[[nodiscard]] Finding check_peer(const InterfaceFacts& facts);

[[nodiscard]] std::vector<Finding> check_af_xdp(const InterfaceFacts& facts,
                                                const MachineFacts& machine);

}  // namespace strictsend::doctor
