// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include <boost/program_options.hpp>

#include "apps/cli/values.hpp"

namespace strictsend::serve {

/// An option of `serve`: its name on the command line and in the configuration file.
struct OptionRow {
  enum class Kind : std::uint8_t {
    value,  ///< takes a value
    flag,   ///< needs none; "=no" takes it back, where the file has it
    once,   ///< a flag of the command line alone
  };
  const char* name;
  Kind kind = Kind::value;
  /// What holds where it is not given, as it would be written; empty where that cannot be written,
  /// and then `otherwise` says it.
  const char* usual = "";
  const char* otherwise = "";
};

/// All there are, in the manual page's order.
[[nodiscard]] std::span<const OptionRow> option_table();

/// The same for Boost.Program_options: every value is a string, understood later.
[[nodiscard]] boost::program_options::options_description described_options();

/// What `values` make of the table, as a configuration file that says the same; lines with # are
/// what holds where nothing is given.
[[nodiscard]] cli::Parsed<std::string> written_configuration(
    const boost::program_options::variables_map& values);

}  // namespace strictsend::serve
