// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/serve/server_counters.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::statistics {

/// Of the serving process itself. Numbers of 64 bits alone, as everywhere here.
struct ProcessFacts {
  std::uint64_t started_unix_ns = 0;  ///< tells one life of a server from the next
  std::uint64_t uptime_ns = 0;        ///< by a clock that is never set: for rates
  std::uint64_t memory_bytes = 0;     ///< that the engine took at the start
};

/// All that is known of a serving process at one moment; its parts may be of slightly different
/// ones.
struct ServerStatus {
  std::string version;  ///< of the program
  PortFacts port;
  ProcessFacts process;
  EngineStats engine;
  std::vector<QueueStats> queues;
  serve::ServerCounters server;
};

}  // namespace strictsend::statistics
