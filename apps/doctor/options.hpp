// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "apps/cli/values.hpp"

namespace strictsend::doctor {

struct Options {
  bool help = false;
  bool json = false;
  std::string nic;  ///< empty: the machine alone
  std::uint64_t cache_bytes = EngineConfig{}.cache_bytes;
  std::uint32_t queues = 0;  ///< 0: all that the NIC has
  std::optional<std::uint16_t> vlan_id;
  bool address_given = false;
  std::vector<std::string> eal_arguments;
};

/// The error is one sentence that names the option and what would be right.
[[nodiscard]] cli::Parsed<Options> parse_options(std::span<const std::string> arguments);

/// The manual page.
[[nodiscard]] std::string_view doctor_help();
/// Every option's long name, so that a test can hold the manual page against them.
[[nodiscard]] std::vector<std::string> option_names();

}  // namespace strictsend::doctor
