// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/conformance/options.hpp"
#include "apps/conformance/report.hpp"
#include "apps/support/event_sources.hpp"

namespace strictsend::conformance {

/// The end whose NIC is under test: runs the cases, and gives the receiver the report. Returns when
/// the receiver has it, or did not fetch it within Options::wait. A case that fails is in the
/// report; ETIMEDOUT when no receiver comes for the first one, ECANCELED when a signal comes.
Result<Report> run_sender(const Options& options, const app::StopSignals& signals);

}  // namespace strictsend::conformance
