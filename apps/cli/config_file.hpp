// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <boost/program_options.hpp>

#include "apps/cli/values.hpp"

namespace strictsend::cli {

/// What a configuration file says: a line for each option, `name = value`, under the names that the
/// command line has. `#` begins a comment, wherever it stands.
struct ConfigFile {
  boost::program_options::parsed_options options{nullptr};
  std::map<std::string, std::string> places;  ///< by name, for complaints: "serve.conf:12: port"
};

/// Understands `text`; `path` is its name in complaints, which begin with it and the line's number.
/// Each name must be among `options`, once, and not be one of `command_line_only`. Values are not
/// looked at.
[[nodiscard]] Parsed<ConfigFile> parse_config(
    std::string_view text, const std::string& path,
    const boost::program_options::options_description& options,
    const std::vector<std::string>& command_line_only);

/// The same of a file, which must be a regular one of 1 MiB at most.
[[nodiscard]] Parsed<ConfigFile> read_config_file(
    const std::string& path, const boost::program_options::options_description& options,
    const std::vector<std::string>& command_line_only);

/// "name = value", as a line of such a file, or what in the value cannot stand there.
[[nodiscard]] Parsed<std::string> config_line(std::string_view name, std::string_view value);

}  // namespace strictsend::cli
