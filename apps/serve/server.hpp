// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "apps/http/session.hpp"
#include "apps/serve/access_log.hpp"
#include "apps/serve/file_store.hpp"
#include "apps/serve/observer.hpp"
#include "apps/serve/server_counters.hpp"
#include "apps/support/event_sources.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::serve {

struct ServerConfig {
  std::string root;  ///< the directory whose files are served
  std::uint16_t port = 80;
  /// The engine's idle_timeout_ms should be longer than idle_timeout here, or connections between
  /// requests are reset instead of closed.
  http::SessionLimits limits;
  StoreConfig store;
  bool allow_put = false;
  std::chrono::milliseconds drain_timeout{10'000};  ///< for sends in flight, once asked to stop
  AccessLog* access_log = nullptr;                  ///< a line for each response, when it has ended
  const app::ReopenSignal* reopen_signal = nullptr;  ///< opens the access log again
  const app::StopSignals* stop_signals = nullptr;    ///< a first one is request_stop, a second ends
                                                     ///< the waiting for sends
  Observer* observer = nullptr;
  std::function<void()> on_drain;  ///< called once, when it begins to stop
  /// Called a few times a second on the server's thread, for a progress display.
  std::function<void()> on_tick;
};

/// An HTTP/1.1 server of one directory on an engine.
///
/// The caller owns engine and server; the engine, the observer and the signals must outlive it.
/// `run` serves on the calling thread and polls the engine's events, so nobody else may. It returns
/// after a stop was requested and the responses under way are finished or have had their time, or
/// with an error once the engine's device is lost. It
/// holds no file and no snapshot then, so that the engine can be stopped: that is its owner's to
/// do, and resets what is left.
class Server {
 public:
  /// Listens at once. Fails if the root cannot be entered or the engine cannot listen.
  static Result<std::unique_ptr<Server>> create(Engine& engine, ServerConfig config);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  Result<void> run();
  /// From any thread, and from a signal handler; more than once is as good as once.
  void request_stop() noexcept;

  /// After the engine's stop, on the same thread as `run`: hears what that did to the responses
  /// that were left.
  void conclude();

  /// As they were at the end of the server's last turn; any thread, at any time. After `conclude`
  /// each request that was read is in exactly one of the first three.
  [[nodiscard]] ServerCounters counters() const;

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace strictsend::serve
