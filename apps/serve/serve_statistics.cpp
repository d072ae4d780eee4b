// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/serve_statistics.hpp"

#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "apps/cli/command.hpp"

namespace strictsend::serve {
namespace {

using Clock = std::chrono::steady_clock;
using statistics::StatisticsServer;

std::uint64_t nanoseconds_in(std::chrono::nanoseconds time) {
  return static_cast<std::uint64_t>(time.count());
}

StatisticsServer::Source source_of(const Engine& engine, const Server& server) {
  statistics::ServerStatus constant;
  constant.version = cli::version();
  constant.port = engine.port();
  constant.process.memory_bytes = engine.memory_bytes();
  constant.process.started_unix_ns =
      nanoseconds_in(std::chrono::system_clock::now().time_since_epoch());
  return [&engine, &server, constant = std::move(constant), began = Clock::now()] {
    statistics::ServerStatus now = constant;
    now.process.uptime_ns = nanoseconds_in(Clock::now() - began);
    now.engine = engine.stats();
    for (std::uint32_t i = 0; i < engine.queue_count(); ++i)
      now.queues.push_back(engine.queue_stats(i));
    now.server = server.counters();
    return now;
  };
}

}  // namespace

Result<StatisticsSockets> StatisticsSockets::make(const ServeOptions& options) {
  StatisticsSockets sockets;
  if (!options.stats_socket_path.empty()) {
    auto listener = statistics::UnixListener::bind(options.stats_socket_path);
    if (!listener) return tl::unexpected(std::move(listener.error()));
    sockets.stats.emplace(std::move(*listener));
  }
  if (options.metrics) {
    auto listener = statistics::LoopbackListener::bind(*options.metrics);
    if (!listener) return tl::unexpected(std::move(listener.error()));
    sockets.metrics.emplace(std::move(*listener));
  }
  return sockets;
}

std::string StatisticsSockets::description() const {
  std::string text;
  if (stats) text += fmt::format("statistics: {}\n", stats->path());
  if (metrics)
    text += fmt::format("metrics: http://{}:{}/metrics\n", to_url_host(metrics->endpoint().address),
                        metrics->endpoint().port);
  return text;
}

Result<std::unique_ptr<StatisticsServer>> tell_statistics(StatisticsSockets sockets,
                                                          const Engine& engine,
                                                          const Server& server) {
  if (!sockets.stats && !sockets.metrics) return nullptr;
  return StatisticsServer::start(std::move(sockets.stats), std::move(sockets.metrics),
                                 source_of(engine, server));
}

}  // namespace strictsend::serve
