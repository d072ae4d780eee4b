// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/conformance/cases.hpp"
#include "apps/conformance/messages.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::conformance {

/// What became of one case.
struct CaseResult {
  Case which = Case::fragments;
  std::string not_run;  ///< why it was not, though nothing failed; empty: it was
  std::string failure;  ///< why there is no verdict; empty: there is
  PortFacts port;       ///< as it was opened for it
  std::string writing;  ///< "2 threads through the mapping"
  std::uint64_t writes = 0;
  CaseVerdict verdict;
  EngineStats stats;  ///< closing balance
};

struct Report {
  std::string version;
  std::string kernel;  ///< the sender's
  PortFacts port;      ///< opened with every offload
  std::string ends;    ///< "10.0.0.1:8017 to 10.0.0.2"
  std::uint64_t file_bytes = 0;
  std::uint32_t downloads = 0;  ///< of each case
  std::uint32_t parallel = 0;
  std::vector<CaseResult> cases;  ///< all that there are, run or not
};

/// What a case that was run lacks for what it is to show; empty: nothing.
[[nodiscard]] std::string shortcoming(const CaseResult& result);

/// "PROVEN: fragments, linear on veth", or "NOT PROVEN: " and why not.
[[nodiscard]] std::string conclusion(const Report& report);
[[nodiscard]] bool is_proven(const std::string& conclusion);

/// All of it, for people; the last line is the conclusion.
[[nodiscard]] std::string to_text(const Report& report);

}  // namespace strictsend::conformance
