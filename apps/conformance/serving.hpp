// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "apps/serve/server.hpp"
#include "apps/strictness/running_server.hpp"
#include "apps/strictness/submissions.hpp"
#include "apps/support/event_sources.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::conformance {

/// An engine that is opened for one case, and the server on it. Ends in the right order.
class Serving {
 public:
  /// Opens the port; nothing is served yet.
  static Result<std::unique_ptr<Serving>> open(const EngineConfig& config, const IpAddress& peer);
  Serving(const Serving&) = delete;
  Serving& operator=(const Serving&) = delete;
  ~Serving() = default;

  [[nodiscard]] Engine& engine() { return *engine_; }
  /// Serves `root` on a thread of its own from now on.
  Result<void> start(const std::string& root, std::uint16_t port);
  /// What the peer asked for.
  [[nodiscard]] const strictness::Submissions& submissions() const { return submissions_; }
  /// Stops both; the closing balance.
  EngineStats stop();

 private:
  Serving(std::unique_ptr<Engine> engine, const IpAddress& peer)
      : engine_(std::move(engine)), submissions_(peer) {}

  std::unique_ptr<Engine> engine_;
  strictness::Submissions submissions_;
  std::unique_ptr<serve::Server> server_;
  std::optional<strictness::RunningServer> running_;
};

/// Waits until `condition` holds: true; false after `limit`. ECANCELED when a signal comes.
Result<bool> wait_until(const std::function<bool()>& condition, std::chrono::milliseconds limit,
                        const app::StopSignals& signals);

/// Makes or replaces a file as a whole, so that whoever asks for it gets the old or the new one.
Result<void> put_file(const std::string& path, std::span<const std::byte> bytes);
Result<void> put_file(const std::string& path, const std::string& text);

}  // namespace strictsend::conformance
