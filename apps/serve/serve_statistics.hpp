// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "apps/serve/serve_options.hpp"
#include "apps/serve/statistics/statistics_server.hpp"

namespace strictsend::serve {

/// The sockets on which statistics are asked for. Made at set-up, before the engine: so a path or
/// port that cannot be had is known at once, and the process still has the rights for it.
struct StatisticsSockets {
  std::optional<statistics::UnixListener> stats;
  std::optional<statistics::LoopbackListener> metrics;

  static Result<StatisticsSockets> make(const ServeOptions& options);
  /// A line for each, for people; empty where there is none.
  [[nodiscard]] std::string description() const;
};

/// Begins to answer on them, with what `engine` and `server` publish for any thread to read; both
/// must outlive what is returned, which is null where there are no sockets.
Result<std::unique_ptr<statistics::StatisticsServer>> tell_statistics(StatisticsSockets sockets,
                                                                      const Engine& engine,
                                                                      const Server& server);

}  // namespace strictsend::serve
