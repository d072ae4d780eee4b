// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "apps/cli/values.hpp"
#include "apps/conformance/cases.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::conformance {

/// How the writers write.
enum class WriteWay : std::uint8_t {
  automatic,  ///< through the mapping where the kernel can protect one, else through the file API
  mapping,
  api,
};

/// The command line of `conformance`, understood and checked as far as that goes without touching
/// the system.
struct Options {
  bool help = false;
  bool sends = false;  ///< --nic was given; else it is the receiver
  IpAddress peer;
  std::uint16_t port = 8017;
  std::string directory = "/var/tmp";
  std::chrono::milliseconds wait{60'000};  ///< for the other end

  // The sender's alone.
  EngineConfig engine;  ///< port, address, queues and MTU; cases set the rest
  std::uint64_t file_bytes = std::uint64_t{64} << 20;
  std::uint32_t downloads = 8;  ///< of each case
  std::uint32_t writers = 2;
  WriteWay write = WriteWay::automatic;
  std::vector<Case> cases{all_cases.begin(), all_cases.end()};
};

/// The error is one sentence that names the option and what would be right.
[[nodiscard]] cli::Parsed<Options> parse_options(std::span<const std::string> arguments);

/// The manual page.
[[nodiscard]] std::string_view conformance_help();
/// Every option's long name, so that a test can hold the manual page against them.
[[nodiscard]] std::vector<std::string> option_names();

}  // namespace strictsend::conformance
