// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "apps/support/event_sources.hpp"
#include <strictsend/result.hpp>

namespace strictsend::strictness {

/// Makes a new file of `bytes` (whole pages) in which every word holds its initial value
/// (checker::Layout). Waits for the disk; ECANCELED when a signal comes. What was written of it
/// before an error is left.
Result<void> write_test_file(const std::string& path, std::uint64_t bytes,
                             const app::StopSignals& signals);

}  // namespace strictsend::strictness
