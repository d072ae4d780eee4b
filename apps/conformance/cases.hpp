// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "apps/cli/values.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::conformance {

/// What is tried on a port, in this order.
enum class Case : std::uint8_t {
  fragments,  ///< the pages themselves, with every offload that the port has
  checksum,   ///< likewise, but cut into packets in software
  plain,      ///< likewise, without any offload
  linear,     ///< the payload copied behind each header
  control,    ///< as the first, without protection: it must be torn
};
inline constexpr std::array all_cases{Case::fragments, Case::checksum, Case::plain, Case::linear,
                                      Case::control};

[[nodiscard]] std::string_view name_of(Case which);

/// "all", or names with commas between them.
[[nodiscard]] cli::Parsed<std::vector<Case>> parse_cases(std::string_view text);

/// Why a case makes no sense on a port, or was not asked for; empty: it is to be run. `port` is
/// what an engine with every offload says of it.
[[nodiscard]] std::string why_not(Case which, const PortFacts& port,
                                  const std::vector<Case>& asked_for);

/// The engine's configuration for a case: `base` with packet form, offloads and protection set.
[[nodiscard]] EngineConfig engine_config(Case which, const PortFacts& port, EngineConfig base);

}  // namespace strictsend::conformance
