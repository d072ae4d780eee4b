// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "apps/conformance/messages.hpp"
#include <strictsend/result.hpp>

namespace strictsend::conformance {

/// Refuses a plan whose downloads do not fit into `directory`, or whose check does not fit into
/// this host's memory, before anything of it is fetched: the sender chose the sizes.
[[nodiscard]] Result<void> check_resources(const Plan& plan, const std::string& directory);

}  // namespace strictsend::conformance
