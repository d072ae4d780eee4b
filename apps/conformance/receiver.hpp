// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "apps/conformance/options.hpp"
#include "apps/support/event_sources.hpp"

namespace strictsend::conformance {

/// The end that judges: downloads what the sender plans, checks it, tells the sender, and returns
/// the sender's report when all is done. ETIMEDOUT when the sender does not answer within
/// Options::wait, ECANCELED when a signal comes.
Result<std::string> run_receiver(const Options& options, const app::StopSignals& signals);

}  // namespace strictsend::conformance
