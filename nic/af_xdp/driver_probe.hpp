// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "nic/af_xdp/netdev.hpp"

namespace strictsend::nic::af_xdp {

/// What a driver was found to do. Empty: trying it failed for another reason, such as rights.
struct TriedModes {
  std::optional<bool> native_xdp;
  std::optional<bool> zero_copy;
};

/// Attaches the XDP program and binds a socket in zero-copy mode, for a moment: how to find out on
/// kernels that do not tell (before 6.3). Nobody else may be using the interface's XDP. Set-up
/// thread.
[[nodiscard]] TriedModes try_modes(const InterfaceFacts& facts);

}  // namespace strictsend::nic::af_xdp
