// SPDX-License-Identifier: Apache-2.0
#include "apps/demo/experiment.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <poll.h>
#include <thread>

#include "apps/demo/checker/mapped_file.hpp"
#include "apps/demo/checker/writer.hpp"
#include "apps/demo/subprocess.hpp"
#include "apps/serve/server.hpp"

namespace strictsend::demo {
namespace {

namespace fs = std::filesystem;

// A writer that may store through unprotected pages for a minute writes about so often.
constexpr std::uint64_t writes_max = 400'000'000;

/// ECANCELED if a signal has come, or comes within `wait_ms`.
Result<void> unless_stopped(const app::StopSignals& signals, int wait_ms = 0) {
  pollfd fd{signals.fd(), POLLIN, 0};
  if (::poll(&fd, 1, wait_ms) > 0) return fail("demo", ECANCELED, "stopped by a signal");
  return {};
}

/// The file under test and the downloads, removed at the end.
class WorkFiles {
 public:
  WorkFiles(fs::path directory, std::uint64_t bytes, const app::StopSignals& signals)
      : directory_(std::move(directory)) {
    std::vector<std::byte> piece(1 << 20);
    std::ofstream out(file(), std::ios::binary);
    for (std::uint64_t at = 0; at < bytes && unless_stopped(signals); at += piece.size()) {
      checker::Layout::fill_initial(piece, at / 8);
      out.write(reinterpret_cast<const char*>(piece.data()),
                static_cast<std::streamsize>(std::min<std::uint64_t>(piece.size(), bytes - at)));
    }
    complete_ = static_cast<bool>(out.flush());
  }
  WorkFiles(const WorkFiles&) = delete;
  WorkFiles& operator=(const WorkFiles&) = delete;
  ~WorkFiles() {
    std::error_code ignored;
    fs::remove(file(), ignored);
    for (unsigned i = 0; i < downloads_; ++i)
      fs::remove(download(i), ignored);
  }
  [[nodiscard]] bool complete() const { return complete_; }
  [[nodiscard]] fs::path file() const { return directory_ / "file"; }
  [[nodiscard]] fs::path download(unsigned number) const {
    return directory_ / ("download-" + std::to_string(number));
  }
  unsigned add_download() { return downloads_++; }
  [[nodiscard]] unsigned downloads() const { return downloads_; }

 private:
  fs::path directory_;
  bool complete_ = false;
  unsigned downloads_ = 0;
};

/// Notes when each download's submit ran, by the number that its request carries.
class SubmitTimes final : public serve::Observer {
 public:
  struct Interval {
    std::int64_t begin_ns = 0;
    std::int64_t return_ns = 0;
  };
  void on_submit(const Submission& submission) override {
    const std::size_t equals = submission.target.find('=');
    if (equals == std::string_view::npos) return;
    const auto ns = [](http::TimePoint at) {
      return std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
    };
    const std::lock_guard lock(mutex_);
    intervals_[std::string(submission.target.substr(equals + 1))] = {ns(submission.freeze_began),
                                                                     ns(submission.submit_ended)};
  }
  void on_released(std::uint64_t, const SpliceResult&) override {}
  [[nodiscard]] Interval of(unsigned download) {
    const std::lock_guard lock(mutex_);
    return intervals_[std::to_string(download)];
  }

 private:
  std::mutex mutex_;
  std::map<std::string, Interval> intervals_;
};

/// A server's thread, stopped and joined by the destructor.
class RunningServer {
 public:
  explicit RunningServer(serve::Server& server)
      : server_(server), thread_([&server] { static_cast<void>(server.run()); }) {}
  RunningServer(const RunningServer&) = delete;
  RunningServer& operator=(const RunningServer&) = delete;
  ~RunningServer() {
    server_.request_stop();
    thread_.join();
  }

 private:
  serve::Server& server_;
  std::thread thread_;
};

/// The writers' threads, stopped and joined by `join` or the destructor.
class Writers {
 public:
  Writers(const checker::Layout& layout, std::span<std::byte> mapping) {
    logs_.reserve(layout.writers());
    for (std::uint32_t w = 0; w < layout.writers(); ++w)
      logs_.emplace_back(writes_max);
    for (std::uint32_t w = 0; w < layout.writers(); ++w) {
      threads_.emplace_back([this, &layout, mapping, w] {
        checker::write_until(stop_, layout, w, logs_[w], checker::MappedStore(mapping));
      });
    }
  }
  Writers(const Writers&) = delete;
  Writers& operator=(const Writers&) = delete;
  ~Writers() { join(); }
  void join() {
    stop_.store(true, std::memory_order_relaxed);
    for (std::thread& thread : threads_)
      thread.join();
    threads_.clear();
  }
  [[nodiscard]] const std::vector<checker::WriteLog>& logs() const { return logs_; }

 private:
  std::atomic<bool> stop_ = false;
  std::vector<checker::WriteLog> logs_;
  std::vector<std::thread> threads_;
};

/// Waits for all of them; ECANCELED on a signal.
Result<void> wait_for(std::vector<Subprocess>& clients, const app::StopSignals& signals) {
  const auto running = [](const Subprocess& client) { return !client.ended(); };
  while (std::any_of(clients.begin(), clients.end(), running)) {
    if (auto go_on = unless_stopped(signals, 50); !go_on) return go_on;
  }
  for (Subprocess& client : clients) {
    if (auto ended = client.wait(); !ended) return ended;
  }
  return {};
}

Result<void> download(const ExperimentConfig& config, const PrivateNetwork& network,
                      WorkFiles& files, const app::StopSignals& signals) {
  for (unsigned round = 1; round <= config.rounds; ++round) {
    if (auto go_on = unless_stopped(signals); !go_on) return go_on;
    std::vector<Subprocess> clients;
    for (unsigned i = 0; i < config.parallel_downloads; ++i) {
      const unsigned number = files.add_download();
      auto client = Subprocess::start(network.in_namespace(
          {"curl", "--silent", "--show-error", "--fail", "--max-time", "100", "--output",
           files.download(number).string(),
           "http://" + network.server_address() + "/file?download=" + std::to_string(number)}));
      if (!client) return tl::unexpected(std::move(client.error()));
      clients.push_back(std::move(*client));
    }
    if (config.on_round) config.on_round(round);
    if (auto done = wait_for(clients, signals); !done) return done;
  }
  return {};
}

Result<std::vector<checker::Verdict>> judge(const checker::Layout& layout, const Writers& writers,
                                            const WorkFiles& files, SubmitTimes& times) {
  std::vector<checker::MappedFile> mapped;
  std::vector<checker::Download> downloads;
  for (unsigned i = 0; i < files.downloads(); ++i) {
    auto file = checker::MappedFile::open(files.download(i).string());
    if (!file) return tl::unexpected(std::move(file.error()));
    mapped.push_back(std::move(*file));
    const SubmitTimes::Interval submit = times.of(i);
    downloads.push_back({"download " + std::to_string(i), mapped.back().bytes(), submit.begin_ns,
                         submit.return_ns});
  }
  return checker::check(layout, writers.logs(), downloads, 2);
}

EngineConfig engine_config(const ExperimentConfig& config, const PrivateNetwork& network) {
  EngineConfig engine;
  engine.nic = "af_xdp:" + network.interface_name();
  engine.tx_form = config.form;
  engine.protection = config.protection;
  // The file, and for each download under way as much again: its old pages, should all be written.
  engine.cache_bytes = config.file_bytes * (config.parallel_downloads + 2);
  return engine;
}

}  // namespace

std::size_t Findings::torn() const {
  return static_cast<std::size_t>(
      std::count_if(verdicts.begin(), verdicts.end(),
                    [](const checker::Verdict& verdict) { return !verdict.strict(); }));
}

Result<Findings> run_experiment(const ExperimentConfig& config, const PrivateNetwork& network,
                                const app::StopSignals& signals) {
  auto layout = checker::Layout::create(
      {.file_bytes = config.file_bytes, .writers = config.writers, .seed = 1});
  if (!layout) return tl::unexpected(std::move(layout.error()));
  WorkFiles files(config.directory, config.file_bytes, signals);
  if (auto go_on = unless_stopped(signals); !go_on) return tl::unexpected(go_on.error());
  if (!files.complete()) {
    return fail("writing " + files.file().string(), errno,
                "name a directory with room: --directory");
  }

  auto engine = Engine::open(engine_config(config, network));
  if (!engine) return tl::unexpected(std::move(engine.error()));
  Findings findings;
  findings.engine = (*engine)->description();
  SubmitTimes times;
  {
    serve::ServerConfig server_config;
    server_config.root = config.directory;
    server_config.observer = &times;
    server_config.drain_timeout = std::chrono::milliseconds(1000);
    auto server = serve::Server::create(**engine, std::move(server_config));
    if (!server) return tl::unexpected(std::move(server.error()));
    auto file = (*engine)->open_file(files.file().string(), O_RDWR);
    if (!file) return tl::unexpected(std::move(file.error()));
    auto mapping = file->map();
    if (!mapping) return tl::unexpected(std::move(mapping.error()));
    if (auto go_on = unless_stopped(signals); !go_on) return tl::unexpected(go_on.error());

    const RunningServer running(**server);
    Writers writers(*layout, *mapping);
    const auto begin = std::chrono::steady_clock::now();
    if (auto done = download(config, network, files, signals); !done) {
      return tl::unexpected(std::move(done.error()));
    }
    findings.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    findings.downloaded_bytes = files.downloads() * config.file_bytes;
    writers.join();
    for (const checker::WriteLog& log : writers.logs()) {
      findings.writes += log.writes();
      findings.longest_stall_ns = std::max(findings.longest_stall_ns, log.longest_batch_ns());
    }
    auto verdicts = judge(*layout, writers, files, times);
    if (!verdicts) return tl::unexpected(std::move(verdicts.error()));
    findings.verdicts = std::move(*verdicts);
  }
  findings.stats = (*engine)->stop(0);
  return findings;
}

}  // namespace strictsend::demo
