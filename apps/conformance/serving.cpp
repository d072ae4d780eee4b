// SPDX-License-Identifier: Apache-2.0
#include "apps/conformance/serving.hpp"

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <span>

#include "apps/strictness/interruption.hpp"

namespace strictsend::conformance {

Result<std::unique_ptr<Serving>> Serving::open(const EngineConfig& config, const IpAddress& peer) {
  Result<std::unique_ptr<Engine>> engine = Engine::open(config);
  if (!engine) return tl::unexpected(std::move(engine.error()));
  return std::unique_ptr<Serving>(new Serving(std::move(*engine), peer));
}

Result<void> Serving::start(const std::string& root, std::uint16_t port) {
  serve::ServerConfig config;
  config.root = root;
  config.port = port;
  config.observer = &submissions_;
  config.drain_timeout = std::chrono::milliseconds(1000);
  auto server = serve::Server::create(*engine_, std::move(config));
  if (!server) return tl::unexpected(std::move(server.error()));
  server_ = std::move(*server);
  running_.emplace(*server_);
  return {};
}

EngineStats Serving::stop() {
  running_.reset();
  const EngineStats closing = engine_->stop(0);
  if (server_) server_->conclude();
  return closing;
}

Result<bool> wait_until(const std::function<bool()>& condition, std::chrono::milliseconds limit,
                        const app::StopSignals& signals) {
  constexpr int look_ms = 20;
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= end) return false;
    if (auto go_on = strictness::unless_stopped(signals, look_ms); !go_on)
      return tl::unexpected(std::move(go_on.error()));
  }
  return true;
}

Result<void> put_file(const std::string& path, std::span<const std::byte> bytes) {
  const std::string unfinished = path + ".new";
  errno = 0;
  std::ofstream out(unfinished, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
  if (!out.flush() || std::rename(unfinished.c_str(), path.c_str()) != 0)
    return fail("writing " + path, errno, "name a directory with room: --directory");
  return {};
}

Result<void> put_file(const std::string& path, const std::string& text) {
  return put_file(path, std::as_bytes(std::span(text)));
}

}  // namespace strictsend::conformance
