// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

namespace strictsend::doctor {

/// `strictsend doctor`: arguments without the program's and the command's names; the exit code.
int run_doctor(std::span<const std::string> arguments);

}  // namespace strictsend::doctor
