// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include "apps/serve/server.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::serve {

/// "12 connections  1.05 GiB/s  340 requests  12.4k pages preserved  frames 3% free": one line for
/// a terminal. `before` is of `seconds` ago; the throughput is of that time.
[[nodiscard]] std::string progress_line(const EngineStats& before, const EngineStats& now,
                                        const ServerCounters& counters, double seconds);

/// What is printed at the end: what was done, by each queue if there are several, and that nothing
/// is left.
[[nodiscard]] std::string summary(const ServerCounters& counters, const EngineStats& closing,
                                  std::span<const QueueStats> queues, double seconds);

}  // namespace strictsend::serve
