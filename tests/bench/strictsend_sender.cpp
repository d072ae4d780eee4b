// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <fcntl.h>
#include <thread>
#include <utility>

#include "apps/serve/server.hpp"
#include "tests/bench/sender.hpp"

namespace strictsend::bench {
namespace {

class StrictsendSender final : public Sender {
 public:
  StrictsendSender(std::unique_ptr<Engine> engine, File file, std::span<std::byte> mapping,
                   std::unique_ptr<serve::Server> server)
      : engine_(std::move(engine)),
        file_(std::move(file)),
        mapping_(mapping),
        server_(std::move(server)),
        thread_([this] { ended_ = server_->run(); }) {}
  StrictsendSender(const StrictsendSender&) = delete;
  StrictsendSender& operator=(const StrictsendSender&) = delete;
  ~StrictsendSender() override {
    server_->request_stop();
    thread_.join();
    server_.reset();
    file_ = File();
    engine_->stop(0);
  }

  [[nodiscard]] std::span<std::byte> mapping() const override { return mapping_; }
  [[nodiscard]] const std::vector<pid_t>& processes() const override { return none_; }
  [[nodiscard]] Counters counters() const override {
    const EngineStats stats = engine_->stats();
    return {stats.write_faults, stats.pages_preserved, stats.pages_redirected,
            stats.segments_retransmitted};
  }
  [[nodiscard]] std::string description() const override { return engine_->description(); }

 private:
  std::unique_ptr<Engine> engine_;
  File file_;
  std::span<std::byte> mapping_;
  std::unique_ptr<serve::Server> server_;
  Result<void> ended_;
  std::vector<pid_t> none_;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Sender>> start_strictsend(const Sender::Config& config, TxForm form) {
  EngineConfig engine_config;
  engine_config.nic = "af_xdp:" + config.interface_name;
  engine_config.tx_form = form;
  // The file, and half as much for its old pages: at 10 % a second a download of 20 seconds, and
  // pages leave with their acknowledgement.
  engine_config.cache_bytes = config.file_bytes / 2 * 3 + (std::uint64_t{64} << 20);
  auto engine = Engine::open(engine_config);
  if (!engine) return tl::unexpected(std::move(engine.error()));
  auto file = (*engine)->open_file(config.directory + "/" + Sender::file_name, O_RDONLY);
  if (!file) return tl::unexpected(std::move(file.error()));
  auto mapping = file->map();
  if (!mapping) return tl::unexpected(std::move(mapping.error()));
  serve::ServerConfig server_config;
  server_config.root = config.directory;
  server_config.port = Sender::port;
  server_config.drain_timeout = std::chrono::milliseconds(0);
  auto server = serve::Server::create(**engine, std::move(server_config));
  if (!server) return tl::unexpected(std::move(server.error()));
  return std::make_unique<StrictsendSender>(std::move(*engine), std::move(*file), *mapping,
                                            std::move(*server));
}

}  // namespace strictsend::bench
