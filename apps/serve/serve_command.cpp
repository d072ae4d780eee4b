// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/serve_command.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "apps/cli/command.hpp"
#include "apps/cli/doctor_pointer.hpp"
#include "apps/cli/exit_code.hpp"
#include "apps/cli/status_line.hpp"
#include "apps/cli/values.hpp"
#include "apps/serve/account.hpp"
#include "apps/serve/caretaker.hpp"
#include "apps/serve/connection.hpp"
#include "apps/serve/progress.hpp"
#include "apps/serve/serve_options.hpp"
#include "apps/serve/serve_statistics.hpp"
#include "apps/serve/service_manager.hpp"

namespace strictsend::serve {
namespace {

using Clock = std::chrono::steady_clock;

std::string size(std::uint64_t bytes) {
  return cli::format_size(static_cast<double>(bytes));
}

int failed(const Error& error) {
  fmt::print(stderr, "strictsend serve: {}\n", error.message());
  return cli::exit_failed;
}

int failed_to_start(const Error& error, const EngineConfig& config) {
  const int code = failed(error);
  fmt::print(stderr, "{}\n", cli::doctor_pointer(config));
  return code;
}

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Shows the progress line now and then; called on the server's ticks.
class Progress {
 public:
  Progress(cli::StatusLine& line, const Engine& engine) : line_(line), engine_(engine) {}
  void watch(const Server& server) { server_ = &server; }
  void tick() {
    if (!line_.is_terminal() || server_ == nullptr) return;
    const double seconds = seconds_since(shown_at_);
    if (seconds < 0.5) return;
    const EngineStats now = engine_.stats();
    line_.show(progress_line(before_, now, server_->counters(), seconds));
    before_ = now;
    shown_at_ = Clock::now();
  }

 private:
  cli::StatusLine& line_;
  const Engine& engine_;
  const Server* server_ = nullptr;
  EngineStats before_;
  Clock::time_point shown_at_ = Clock::now();
};

/// Says when another host uses the server's address; looks seldom, for asking takes a while.
class ConflictWatch {
 public:
  explicit ConflictWatch(const Engine& engine) : engine_(engine) {}
  void tick() {
    constexpr double interval_seconds = 10;
    if (seconds_since(looked_at_) < interval_seconds) return;
    looked_at_ = Clock::now();
    const std::uint64_t conflicts = engine_.stats().address_conflicts;
    if (conflicts > known_) {
      std::string ours;
      for (const IpAddress& address : engine_.addresses())
        ours += (ours.empty() ? "" : " or ") + to_string(address);
      spdlog::warn(
          "another host claims the address {} too ({} packets so far say so), and clients may "
          "reach that one instead: give one of the two another address",
          ours, conflicts);
    }
    known_ = conflicts;
  }

 private:
  const Engine& engine_;
  std::uint64_t known_ = 0;
  Clock::time_point looked_at_ = Clock::now();
};

/// Tells the service manager now and then what the server does; called on the server's ticks.
class StatusReport {
 public:
  StatusReport(const ServiceManager& manager, const Engine& engine)
      : manager_(manager), engine_(engine) {}
  void watch(const Server& server) { server_ = &server; }
  void tick() {
    constexpr double interval_seconds = 10;
    if (!manager_.listens() || server_ == nullptr || stopping_) return;
    const double seconds = seconds_since(told_at_);
    if (seconds < interval_seconds) return;
    const EngineStats now = engine_.stats();
    manager_.status(progress_line(before_, now, server_->counters(), seconds));
    before_ = now;
    told_at_ = Clock::now();
  }
  void stopping(std::chrono::milliseconds limit) {
    stopping_ = true;
    manager_.stopping(fmt::format("finishing responses, for {} s at most",
                                  std::chrono::duration<double>(limit).count()));
  }

 private:
  const ServiceManager& manager_;
  const Engine& engine_;
  const Server* server_ = nullptr;
  EngineStats before_;
  Clock::time_point told_at_ = Clock::now();
  bool stopping_ = false;
};

/// What --user asks for: nothing happens without it.
class Demotion {
 public:
  /// Before there is any thread, and before the engine, after which this has to end.
  static Result<Demotion> prepare(const ServeOptions& options) {
    Demotion demotion;
    if (options.user.empty()) return demotion;
    const Result<Account> account = find_account(options.user, options.group);
    if (!account) return tl::unexpected(account.error());
    demotion.account_ = *account;
    if (options.engine.nic.starts_with("af_xdp:")) {
      Result<Caretaker> caretaker = Caretaker::start(options.engine.nic);
      if (!caretaker) return tl::unexpected(caretaker.error());
      demotion.caretaker_.emplace(std::move(*caretaker));
    }
    if (Result<void> done = give_up_new_rights(); !done) return tl::unexpected(done.error());
    return demotion;
  }
  /// Once everything is open that the user may not open.
  Result<void> carry_out(const std::string& root) const {
    if (!account_) return {};
    if (Result<void> done = become(*account_); !done) return done;
    return check_directory(root, *account_);
  }
  /// After the engine's stop.
  Result<void> conclude() { return caretaker_ ? caretaker_->finish() : Result<void>(); }

 private:
  Demotion() = default;
  std::optional<Account> account_;
  std::optional<Caretaker> caretaker_;
};

/// Each file that is kept open has a descriptor. The limit that a shell gives is for programs that
/// use select(2), which this one does not.
std::size_t raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<std::size_t>(std::min<rlim_t>(limit.rlim_cur, 1 << 20));
}

int serve(ServeOptions options) {
  // Half of them the page cache's, of which half may be asked for again; the rest for uploads,
  // queues and logs.
  options.server.store.files_max =
      std::min(options.server.store.files_max, raise_descriptor_limit() / 4);
  const ServiceManager manager = ServiceManager::from_environment();
  Result<Demotion> demotion = Demotion::prepare(options);
  if (!demotion) return failed(demotion.error());
  // Before the engine makes its threads, which inherit the blocked signals.
  Result<app::StopSignals> signals = app::StopSignals::create();
  if (!signals) return failed_to_start(signals.error(), options.engine);
  Result<app::ReopenSignal> reopen = app::ReopenSignal::create();
  if (!reopen) return failed_to_start(reopen.error(), options.engine);
  Result<StatisticsSockets> sockets = StatisticsSockets::make(options);
  if (!sockets) return failed(sockets.error());
  Result<std::unique_ptr<Engine>> engine = Engine::open(options.engine);
  if (!engine) return failed_to_start(engine.error(), options.engine);

  if (auto done = demotion->carry_out(options.server.root); !done) return failed(done.error());
  // As the user who will open it again, on SIGUSR1.
  std::unique_ptr<AccessLog> access_log;
  if (!options.access_log_path.empty()) {
    Result<std::unique_ptr<AccessLog>> opened = AccessLog::open(options.access_log_path);
    if (!opened) return failed(opened.error());
    access_log = std::move(*opened);
  }

  cli::StatusLine line;
  cli::log_above(line, options.log_level);
  Progress progress(line, **engine);
  ConflictWatch conflicts(**engine);
  StatusReport report(manager, **engine);
  options.server.stop_signals = &*signals;
  options.server.reopen_signal = &*reopen;
  options.server.access_log = access_log.get();
  options.server.on_tick = [&progress, &conflicts, &report] {
    progress.tick();
    conflicts.tick();
    report.tick();
  };
  options.server.on_drain = [&report, limit = options.server.drain_timeout] {
    report.stopping(limit);
  };
  const std::uint16_t port = options.server.port;
  const std::uint64_t engine_bytes = (*engine)->memory_bytes();
  const std::uint64_t connection_bytes = connection_bytes_max(
      options.server.limits, options.server.store.listing, access_log != nullptr);
  const std::uint64_t bytes_max = engine_bytes + connection_bytes * options.engine.max_connections;

  Result<std::unique_ptr<Server>> server = Server::create(**engine, std::move(options.server));
  if (!server) return failed_to_start(server.error(), options.engine);
  progress.watch(**server);
  report.watch(**server);

  const std::string told = sockets->description();
  auto statistics = tell_statistics(std::move(*sockets), **engine, **server);
  if (!statistics) return failed(statistics.error());

  fmt::print(
      "{}\n"
      "memory: at most {}: {} for the engine, fixed now, and up to {} for the requests of each "
      "connection\n",
      (*engine)->description(), size(bytes_max), size(engine_bytes), size(connection_bytes));
  fmt::print("{}", told);
  std::string places;
  for (const IpAddress& address : (*engine)->addresses())
    places += fmt::format("serving http://{}:{}/\n", to_url_host(address), port);
  fmt::print("{}", places);
  std::fflush(stdout);
  manager.ready(places.substr(0, places.find('\n')));

  const Clock::time_point began = Clock::now();
  const Result<void> ran = (*server)->run();
  line.show({});

  // The server has waited for the sends already; what is left now had its time.
  const EngineStats closing = (*engine)->stop(0);
  (*server)->conclude();
  std::vector<QueueStats> queues;
  for (std::uint32_t i = 0; i < (*engine)->queue_count(); ++i)
    queues.push_back((*engine)->queue_stats(i));
  fmt::print("{}", summary((*server)->counters(), closing, queues, seconds_since(began)));
  const Result<void> cleared = demotion->conclude();
  if (!ran) return failed(ran.error());
  if (!cleared) return failed(cleared.error());
  return cli::exit_ok;
}

}  // namespace

int run_serve(std::span<const std::string> arguments) {
  auto options = parse_serve_options(arguments);
  if (!options) return cli::usage_error("serve", options.error());
  if (options->help) {
    fmt::print("{}", serve_help());
    return cli::exit_ok;
  }
  if (!options->printed.empty()) {
    fmt::print("{}", options->printed);
    return cli::exit_ok;
  }
  // A log or summary that nobody reads must not end the server before the interface is back.
  std::signal(SIGPIPE, SIG_IGN);
  return serve(std::move(*options));
}

}  // namespace strictsend::serve
