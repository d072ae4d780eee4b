// SPDX-License-Identifier: Apache-2.0
#include "apps/conformance/conformance_command.hpp"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "apps/cli/command.hpp"
#include "apps/cli/doctor_pointer.hpp"
#include "apps/cli/exit_code.hpp"
#include "apps/conformance/options.hpp"
#include "apps/conformance/receiver.hpp"
#include "apps/conformance/report.hpp"
#include "apps/conformance/sender.hpp"

namespace strictsend::conformance {
namespace {

int failed(const Error& error) {
  // A signal: who takes it has the last word.
  if (error.errno_value != ECANCELED) fmt::print("\nCONFORMANCE FAILED: {}\n", error.message());
  return cli::exit_failed;
}

/// Peers' bytes, made fit for a terminal.
std::string printable(std::string text) {
  for (char& c : text) {
    if (c != '\n' && (c < 0x20 || c > 0x7e)) c = '?';
  }
  return text;
}

int send(const Options& options, const app::StopSignals& signals) {
  const Result<Report> report = run_sender(options, signals);
  if (!report) {
    const int code = failed(report.error());
    // On standard error: what is read of standard output ends with the line that says what failed.
    const bool is_started =
        report.error().errno_value == ECANCELED || report.error().errno_value == ETIMEDOUT;
    if (!is_started) fmt::print(stderr, "{}\n", cli::doctor_pointer(options.engine));
    return code;
  }
  fmt::print("\n{}", to_text(*report));
  return is_proven(conclusion(*report)) ? cli::exit_ok : cli::exit_failed;
}

int receive(const Options& options, const app::StopSignals& signals) {
  Result<std::string> received = run_receiver(options, signals);
  if (!received) return failed(received.error());
  const std::string report = printable(std::move(*received));
  fmt::print("\n{}", report);
  // The last line is the conclusion.
  const std::size_t end = report.find_last_not_of('\n');
  const std::size_t begin = end == std::string::npos ? 0 : report.rfind('\n', end) + 1;
  return is_proven(report.substr(begin)) ? cli::exit_ok : cli::exit_failed;
}

}  // namespace

int run_conformance(std::span<const std::string> arguments) {
  const auto options = parse_options(arguments);
  if (!options) return cli::usage_error("conformance", options.error());
  if (options->help) {
    fmt::print("{}", conformance_help());
    return cli::exit_ok;
  }
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // inherited by curl, which then says that it cannot write
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // whoever reads along through a pipe sees it as it is
  spdlog::set_level(spdlog::level::warn);
  // Before anything is made that a signal must not leave behind.
  auto signals = app::StopSignals::create();
  if (!signals) return failed(signals.error());
  const int code = options->sends ? send(*options, *signals) : receive(*options, *signals);
  const int number = signals->take();
  if (number == 0) return code;
  fmt::print("\nCONFORMANCE STOPPED by SIG{}.\n", ::sigabbrev_np(number));
  return cli::exit_by_signal(number);
}

}  // namespace strictsend::conformance
