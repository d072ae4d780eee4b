// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

namespace strictsend::serve {

/// The command `strictsend serve`: see serve_help.
int run_serve(std::span<const std::string> arguments);

}  // namespace strictsend::serve
