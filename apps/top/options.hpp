// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "apps/cli/values.hpp"

namespace strictsend::top {

/// The command line of `top`, understood and checked.
struct Options {
  bool help = false;
  std::string socket_path = "/run/strictsend/stats.sock";
  std::chrono::milliseconds interval{1'000};
  bool once = false;
};

/// The error is one sentence that names the option and what would be right.
[[nodiscard]] cli::Parsed<Options> parse_options(std::span<const std::string> arguments);

/// The manual page.
[[nodiscard]] std::string_view top_help();
/// Every option's long name, so that a test can hold the manual page against them.
[[nodiscard]] std::vector<std::string> option_names();

}  // namespace strictsend::top
