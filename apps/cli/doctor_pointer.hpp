// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <strictsend/engine.hpp>

namespace strictsend::cli {

/// "run `strictsend doctor --nic af_xdp:eth0` to see what this machine lacks": what is printed
/// below the error where an engine of this configuration, or what it is for, did not start.
[[nodiscard]] std::string doctor_pointer(const EngineConfig& config);

}  // namespace strictsend::cli
