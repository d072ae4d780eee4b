// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

namespace strictsend::conformance {

/// `strictsend conformance`: proves strict splice on a NIC, as the sender on it or as the receiver
/// on another machine. Returns the exit code.
int run_conformance(std::span<const std::string> arguments);

}  // namespace strictsend::conformance
