// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "apps/serve/server.hpp"
#include "apps/serve/statistics/listeners.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::serve {

/// The command line of `serve` and the configuration file that it names, understood and checked as
/// far as that goes without touching the system.
struct ServeOptions {
  bool help = false;
  std::string printed;  ///< what --print-config asks for; empty: it was not given
  EngineConfig engine;
  ServerConfig server;
  std::string log_level = "warn";
  std::string user;               ///< to become once everything is set up; empty: stay
  std::string group;              ///< of whom; empty: the user's own
  std::string access_log_path;    ///< empty: no log; "-": standard output
  std::string stats_socket_path;  ///< empty: none
  std::optional<statistics::LoopbackEndpoint> metrics;
};

/// Reads the file of --config. The error is one sentence that names the option, with file and line
/// where it stands in one, and what would be right.
[[nodiscard]] tl::expected<ServeOptions, std::string> parse_serve_options(
    std::span<const std::string> arguments);

/// The manual page.
[[nodiscard]] std::string_view serve_help();
/// Every option's long name, so that a test can hold the manual page against them.
[[nodiscard]] std::vector<std::string> serve_option_names();

}  // namespace strictsend::serve
