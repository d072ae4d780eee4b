// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/transport_server.hpp"

#include <cerrno>
#include <charconv>
#include <csignal>
#include <fstream>
#include <optional>
#include <sstream>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/clock.hpp"
#include "tests/bench/nginx_config.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace strictsend::bench {
namespace {

constexpr Duration start_limit = seconds(20);
constexpr Duration stop_limit = seconds(20);

/// The number behind `name` and spaces; in nstat's output, and in serve's summary.
std::optional<std::uint64_t> number_behind(const std::string& text, const std::string& name) {
  const std::size_t at = text.find(name);
  if (at == std::string::npos) return std::nullopt;
  const std::size_t begin = text.find_first_not_of(' ', at + name.size());
  if (begin == std::string::npos) return std::nullopt;
  std::uint64_t value = 0;
  const auto parsed = std::from_chars(text.data() + begin, text.data() + text.size(), value);
  if (parsed.ec != std::errc{}) return std::nullopt;
  return value;
}

/// A process for each time it serves: its statistics are in the summary that it ends with.
class StrictsendServer final : public TransportServer {
 public:
  explicit StrictsendServer(const Config& config) : config_(config) {
    const test::CommandResult help = test::run_command({STRICTSEND_PROGRAM, "serve", "--help"});
    has_congestion_option_ = help.output.find("--congestion") != std::string::npos;
  }

  Result<void> start() override {
    std::vector<std::string> argv = {"chrt",
                                     "--rr",
                                     "1",
                                     STRICTSEND_PROGRAM,
                                     "serve",
                                     "--nic",
                                     "af_xdp:" + config_.host.interface_name,
                                     "--root",
                                     config_.directory,
                                     "--port",
                                     std::to_string(port),
                                     "--cache",
                                     "128M",
                                     "--drain-timeout",
                                     "0s"};
    if (has_congestion_option_) {
      argv.emplace_back("--congestion");
      argv.push_back(config_.congestion_control);
    }
    auto program = test::ChildProcess::spawn(argv, config_.host.namespace_fd);
    if (!program) return tl::unexpected(std::move(program.error()));
    if (!program->wait_for_output("serving http", start_limit))
      return fail("strictsend serve", 0, "it does not serve: " + program->output());
    program_ = std::move(*program);
    return {};
  }

  Result<std::uint64_t> stop() override {
    program_->signal(SIGTERM);
    const auto ended = program_->wait(stop_limit);
    program_.reset();
    if (!ended) return fail("strictsend serve", ETIMEDOUT, "it does not end");
    // "segments   1234 sent, 56 of them again"
    const std::size_t sent = ended->output.find(" sent, ", ended->output.find("\n  segments "));
    if (ended->exit_code != 0 || sent == std::string::npos)
      return fail("strictsend serve", 0, ended->output);
    const auto again = number_behind(ended->output.substr(sent), " sent,");
    if (!again) return fail("reading serve's summary", 0, ended->output);
    return *again;
  }

  [[nodiscard]] std::string restriction() const override {
    return has_congestion_option_ ? "" : "no choice of congestion control: as it is built";
  }

 private:
  const Config config_;
  bool has_congestion_option_ = false;
  std::optional<test::ChildProcess> program_;
};

/// nginx for each time it serves, too: alike for both.
class KernelServer final : public TransportServer {
 public:
  explicit KernelServer(const Config& config) : config_(config) {
    const std::string path = work_.path("nginx.conf");
    std::ofstream(path) << nginx_config({.work_directory = work_.path(),
                                         .address = config.host.address,
                                         .port = port,
                                         .root = config.directory});
    argv_ = {"chrt", "--rr", "1", "nginx", "-p", work_.path(), "-c", path};
    // By the route: the namespace's setting takes none but those that the machine's administrator
    // allows to everybody, though root may use all. And what one download learned of the path is
    // not for the next.
    const std::vector<std::vector<std::string>> settings = {
        {"ip", "route", "change", network_of(config.host), "dev", config.host.interface_name, "src",
         config.host.address, "congctl", config.congestion_control},
        {"sysctl", "-q", "-w", "net.ipv4.tcp_no_metrics_save=1"}};
    for (const std::vector<std::string>& setting : settings) {
      const test::CommandResult set = in_namespace(setting);
      if (set.exit_code != 0) restriction_ += set.output;
    }
  }

  Result<void> start() override {
    auto program = test::ChildProcess::spawn(argv_, config_.host.namespace_fd);
    if (!program) return tl::unexpected(std::move(program.error()));
    const Time deadline = monotonic_now() + start_limit;
    while (in_namespace({"ss", "-Hltn", fmt::format("sport = :{}", port)}).output.empty()) {
      if (const auto ended = program->wait(milliseconds(20)))
        return fail("nginx", 0, "it ended at once: " + ended->output);
      if (monotonic_now() >= deadline) return fail("nginx", ETIMEDOUT, "it does not listen");
    }
    const auto before = segments_sent_again();
    if (!before) return tl::unexpected(before.error());
    again_before_ = *before;
    program_ = std::move(*program);
    return {};
  }

  Result<std::uint64_t> stop() override {
    auto after = segments_sent_again();
    program_->signal(SIGTERM);
    const auto ended = program_->wait(stop_limit);
    program_.reset();
    if (!ended) return fail("nginx", ETIMEDOUT, "it does not end");
    if (!after) return after;
    return *after - again_before_;
  }

  [[nodiscard]] std::string restriction() const override { return restriction_; }

 private:
  /// The only one that the host has a route to.
  [[nodiscard]] std::string network_of(const relay::RelayNetwork::Host& host) const {
    const test::CommandResult routes =
        in_namespace({"ip", "-o", "route", "show", "dev", host.interface_name});
    return routes.output.substr(0, routes.output.find(' '));
  }
  [[nodiscard]] test::CommandResult in_namespace(const std::vector<std::string>& argv) const {
    return test::run_command(argv, config_.host.namespace_fd);
  }
  /// Of the whole namespace, in which nobody else sends.
  [[nodiscard]] Result<std::uint64_t> segments_sent_again() const {
    const test::CommandResult done = in_namespace({"nstat", "-asz", "TcpRetransSegs"});
    const auto again = number_behind(done.output, "TcpRetransSegs");
    if (done.exit_code != 0 || !again) return fail("nstat", 0, done.output);
    return *again;
  }

  const Config config_;
  const test::TempDir work_;
  std::vector<std::string> argv_;
  std::string restriction_;
  std::optional<test::ChildProcess> program_;
  std::uint64_t again_before_ = 0;
};

}  // namespace

std::unique_ptr<TransportServer> make_strictsend_server(const TransportServer::Config& config) {
  return std::make_unique<StrictsendServer>(config);
}

std::unique_ptr<TransportServer> make_kernel_server(const TransportServer::Config& config) {
  return std::make_unique<KernelServer>(config);
}

}  // namespace strictsend::bench
