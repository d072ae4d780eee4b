// SPDX-License-Identifier: Apache-2.0
#include "apps/demo/experiment.hpp"

#include <algorithm>
#include <chrono>
#include <fcntl.h>
#include <filesystem>

#include "apps/serve/server.hpp"
#include "apps/strictness/checker/mapped_file.hpp"
#include "apps/strictness/interruption.hpp"
#include "apps/strictness/running_server.hpp"
#include "apps/strictness/submissions.hpp"
#include "apps/strictness/subprocess.hpp"
#include "apps/strictness/test_file.hpp"
#include "apps/strictness/writers.hpp"

namespace strictsend::demo {
namespace {

namespace fs = std::filesystem;
using strictness::Subprocess;
using strictness::unless_stopped;

// A writer that may store through unprotected pages for a minute writes about so often.
constexpr strictness::WriteBudget write_budget{.writes_max = 400'000'000,
                                               .lasts = std::chrono::seconds(100)};

/// The file under test and the downloads, removed at the end.
class WorkFiles {
 public:
  explicit WorkFiles(fs::path directory) : directory_(std::move(directory)) {}
  WorkFiles(const WorkFiles&) = delete;
  WorkFiles& operator=(const WorkFiles&) = delete;
  ~WorkFiles() {
    std::error_code ignored;
    fs::remove(file(), ignored);
    for (unsigned i = 0; i < downloads_; ++i)
      fs::remove(download(i), ignored);
  }
  [[nodiscard]] fs::path file() const { return directory_ / "file"; }
  [[nodiscard]] fs::path download(unsigned number) const {
    return directory_ / ("download-" + std::to_string(number));
  }
  unsigned add_download() { return downloads_++; }
  [[nodiscard]] unsigned downloads() const { return downloads_; }

 private:
  fs::path directory_;
  unsigned downloads_ = 0;
};

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
    if (auto done = strictness::wait_until_ended(clients, signals); !done) return done;
    for (Subprocess& client : clients) {
      if (auto ended = client.wait(); !ended) return ended;
    }
  }
  return {};
}

Result<std::vector<checker::Verdict>> judge(const checker::Layout& layout,
                                            const strictness::Writers& writers,
                                            const WorkFiles& files,
                                            const strictness::Submissions& submissions) {
  std::vector<checker::MappedFile> mapped;
  std::vector<checker::Download> downloads;
  for (unsigned i = 0; i < files.downloads(); ++i) {
    auto file = checker::MappedFile::open(files.download(i).string());
    if (!file) return tl::unexpected(std::move(file.error()));
    mapped.push_back(std::move(*file));
    const auto submit = submissions.of("/file?download=" + std::to_string(i))
                            .value_or(strictness::Submissions::Record{});
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
  engine.preserved_bytes_max = engine.preserved_bytes_per_connection_max = engine.cache_bytes;
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
  WorkFiles files(config.directory);
  if (auto made = strictness::write_test_file(files.file().string(), config.file_bytes, signals);
      !made) {
    return tl::unexpected(std::move(made.error()));
  }

  auto engine = Engine::open(engine_config(config, network));
  if (!engine) return tl::unexpected(std::move(engine.error()));
  Findings findings;
  findings.engine = (*engine)->description();
  strictness::Submissions submissions;
  {
    serve::ServerConfig server_config;
    server_config.root = config.directory;
    server_config.observer = &submissions;
    server_config.drain_timeout = std::chrono::milliseconds(1000);
    auto server = serve::Server::create(**engine, std::move(server_config));
    if (!server) return tl::unexpected(std::move(server.error()));
    auto file = (*engine)->open_file(files.file().string(), O_RDWR);
    if (!file) return tl::unexpected(std::move(file.error()));
    auto mapping = file->map();
    if (!mapping) return tl::unexpected(std::move(mapping.error()));
    if (auto go_on = unless_stopped(signals); !go_on) return tl::unexpected(go_on.error());

    const strictness::RunningServer running(**server);
    strictness::Writers writers(*layout, *mapping, write_budget);
    const auto begin = std::chrono::steady_clock::now();
    if (auto done = download(config, network, files, signals); !done) {
      return tl::unexpected(std::move(done.error()));
    }
    findings.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    findings.downloaded_bytes = files.downloads() * config.file_bytes;
    writers.join();
    findings.writes = writers.writes();
    for (const checker::WriteLog& log : writers.logs()) {
      findings.longest_stall_ns = std::max(findings.longest_stall_ns, log.longest_batch_ns());
    }
    auto verdicts = judge(*layout, writers, files, submissions);
    if (!verdicts) return tl::unexpected(std::move(verdicts.error()));
    findings.verdicts = std::move(*verdicts);
  }
  findings.stats = (*engine)->stop(0);
  return findings;
}

}  // namespace strictsend::demo
