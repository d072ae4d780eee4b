// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "apps/serve/statistics/listeners.hpp"
#include "apps/serve/statistics/server_status.hpp"
#include "apps/support/event_sources.hpp"

namespace strictsend::statistics {

/// Bounds on what clients can cost.
struct StatisticsLimits {
  /// Of each kind. If a further one comes, the one that has been there longest goes.
  std::size_t clients_max = 16;
  std::chrono::milliseconds client_timeout{5'000};  ///< from its coming to its last byte
  /// A sample is told to all who come within that time, so that many of them cost no more than one.
  std::chrono::milliseconds sample_age_max{100};
};

/// Tells statistics to whoever asks, on a thread of its own: as JSON over a Unix socket (a client
/// connects, and gets one document and the end), as Prometheus's text over HTTP.
///
/// Owned by the server's owner. The source is called on the thread, and must be good until the end
/// of this object, which ends the thread and closes, and removes, the sockets. Clients never hold
/// up anybody: reading and writing do not wait, and their number and time are bounded.
class StatisticsServer {
 public:
  using Source = std::function<ServerStatus()>;

  static Result<std::unique_ptr<StatisticsServer>> start(
      std::optional<UnixListener> unix_listener, std::optional<LoopbackListener> loopback_listener,
      Source source, const StatisticsLimits& limits = {});
  StatisticsServer(const StatisticsServer&) = delete;
  StatisticsServer& operator=(const StatisticsServer&) = delete;
  ~StatisticsServer();

 private:
  class Loop;
  StatisticsServer(std::unique_ptr<Loop> loop, app::WakeUp stop);

  std::unique_ptr<Loop> loop_;
  app::WakeUp stop_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace strictsend::statistics
