// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "apps/conformance/cases.hpp"
#include "apps/conformance/options.hpp"
#include "apps/conformance/report.hpp"
#include "apps/support/event_sources.hpp"

namespace strictsend::conformance {

/// So many downloads of a case are under way at a time: each freezes the file anew, and has old
/// pages kept for it.
inline constexpr std::uint32_t downloads_at_a_time = 4;

/// What all cases of a run share.
struct SenderRun {
  const Options& options;
  const app::StopSignals& signals;
  std::string root;  ///< the directory that is served
  std::string id;    ///< of this run, and no other
  PortFacts port;    ///< with every offload
};

/// A base for every engine of the run: what is the same for all, with room for a case.
[[nodiscard]] EngineConfig base_config(const Options& options);

/// Runs one case from the opening of the port to its end. What goes wrong with the port or the
/// downloads is in the result. An error ends the run: ECANCELED for a signal, ETIMEDOUT for a
/// receiver that does not come, anything else for a file that cannot be made.
Result<CaseResult> run_case(const SenderRun& run, Case which, std::uint32_t number);

}  // namespace strictsend::conformance
