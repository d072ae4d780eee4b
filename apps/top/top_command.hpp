// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

namespace strictsend::top {

/// The command `strictsend top`: see top_help.
int run_top(std::span<const std::string> arguments);

}  // namespace strictsend::top
