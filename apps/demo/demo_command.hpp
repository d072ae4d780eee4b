// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

namespace strictsend::demo {

/// `strictsend demo`: shows on this machine that downloads are strict, and what they are without.
int run_demo(std::span<const std::string> arguments);

}  // namespace strictsend::demo
