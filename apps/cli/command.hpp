// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace strictsend::cli {

/// One of the program's commands. `run` gets what follows the command's name, and returns the
/// program's exit code (see exit_code.hpp).
struct Command {
  std::string_view name;
  std::string_view summary;
  int (*run)(std::span<const std::string> arguments);
};

/// Of this program: "0.1.0".
[[nodiscard]] std::string_view version();

/// Finds and runs the command that `arguments` begin with; --help and --version are answered here.
int dispatch(std::span<const Command> commands, std::span<const std::string> arguments);

/// Prints "strictsend COMMAND: SENTENCE" and where help is, and returns exit_usage.
int usage_error(std::string_view command, std::string_view sentence);

}  // namespace strictsend::cli
