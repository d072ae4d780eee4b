// SPDX-License-Identifier: Apache-2.0
#include "apps/conformance/sender.hpp"

#include <sys/utsname.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <random>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "apps/cli/command.hpp"
#include "apps/conformance/messages.hpp"
#include "apps/conformance/sender_case.hpp"
#include "apps/conformance/serving.hpp"
#include "apps/strictness/work_directory.hpp"

namespace strictsend::conformance {
namespace {

std::string kernel() {
  utsname name{};
  if (::uname(&name) != 0) return "unknown";
  return fmt::format("{} {} {}", name.sysname, name.release, name.machine);
}

/// Ours of the peer's family, or the only one that there is.
std::string own_address(const Engine& engine, const IpAddress& peer) {
  const std::vector<IpAddress> addresses = engine.addresses();
  for (const IpAddress& address : addresses)
    if (address.family() == peer.family()) return to_string(address);
  return to_string(addresses.front());
}

/// Whoever still asks for what an earlier run served shall not find it.
std::string random_id() {
  std::random_device random;
  return fmt::format("{:08x}", random());
}

/// A small engine, for what is not under test.
EngineConfig small_config(const Options& options) {
  EngineConfig config = base_config(options);
  config.cache_bytes = 8 << 20;
  config.tx_form = TxForm::automatic;
  return config;
}

/// Opens the port once to learn what it is, so that it is known which cases make sense.
Result<Report> begin_report(const Options& options) {
  auto engine = Engine::open(small_config(options));
  if (!engine) return tl::unexpected(std::move(engine.error()));
  Report report;
  report.version = cli::version();
  report.kernel = kernel();
  report.port = (*engine)->port();
  const std::string address = own_address(**engine, options.peer);
  report.ends =
      fmt::format("{} port {}, received by {}", address, options.port, to_string(options.peer));
  report.file_bytes = options.file_bytes;
  report.downloads = options.downloads;
  report.parallel = std::min(downloads_at_a_time, options.downloads);
  fmt::print("{}\nOn {} run: strictsend conformance --peer {}{}\n", (*engine)->description(),
             to_string(options.peer), address,
             options.port == Options{}.port ? "" : fmt::format(" --port {}", options.port));
  (*engine)->stop(0);
  return report;
}

void print_result(const CaseResult& result) {
  const std::string lacks = shortcoming(result);
  fmt::print("  {} strict, {} torn{}{}\n", result.verdict.strict, result.verdict.torn,
             lacks.empty() ? "" : ": ", lacks);
}

/// An engine of its own, since the last case's must have ended for its balance to be in.
Result<void> hand_over(const Options& options, const Report& report, const std::string& root,
                       const app::StopSignals& signals) {
  if (auto put = put_file(root + "/report.txt", to_text(report)); !put) return put;
  Plan finished;
  finished.finished = true;
  if (auto put = put_file(root + "/plan.json", to_json(finished)); !put) return put;
  auto serving = Serving::open(small_config(options), options.peer);
  if (!serving) return tl::unexpected(std::move(serving.error()));
  if (auto started = (*serving)->start(root, options.port); !started) return started;
  const auto asked = [&] { return (*serving)->submissions().of("/report.txt").has_value(); };
  const Result<bool> came = wait_until(asked, options.wait, signals);
  if (!came) return tl::unexpected(came.error());
  if (!*came) spdlog::warn("the receiver did not fetch the report");
  // Where completions wait for more traffic, an idle port may never tell that it got through.
  const auto released = [&] { return (*serving)->submissions().of("/report.txt")->released; };
  if (*came) {
    if (auto waited = wait_until(released, std::chrono::seconds(2), signals); !waited)
      return tl::unexpected(waited.error());
  }
  (*serving)->stop();
  return {};
}

}  // namespace

Result<Report> run_sender(const Options& options, const app::StopSignals& signals) {
  auto directory = strictness::WorkDirectory::create(options.directory, "conformance");
  if (!directory) return tl::unexpected(std::move(directory.error()));
  Result<Report> report = begin_report(options);
  if (!report) return report;

  const SenderRun run{options, signals, directory->path(), random_id(), report->port};
  std::uint32_t number = 0;
  bool over = false;  // before all cases were tried
  for (const Case which : all_cases) {
    CaseResult result;
    result.which = which;
    result.not_run = why_not(which, report->port, options.cases);
    if (result.not_run.empty() && over) result.not_run = "the run was over before";
    if (result.not_run.empty()) {
      fmt::print("Case {}\n", name_of(which));
      Result<CaseResult> ran = run_case(run, which, ++number);
      if (ran) {
        result = std::move(*ran);
      } else {
        // What was found out before is worth a report.
        if (ran.error().errno_value == ECANCELED || number == 1)
          return tl::unexpected(std::move(ran.error()));
        result.failure = ran.error().message();
        over = true;
      }
      print_result(result);
    }
    report->cases.push_back(std::move(result));
  }
  if (number == 0)
    return fail("choosing cases", EINVAL,
                "none of those that --cases names can be run on this port: " +
                    report->cases.front().not_run);
  if (over) return report;
  if (auto handed = hand_over(options, *report, directory->path(), signals); !handed) {
    if (handed.error().errno_value == ECANCELED) return tl::unexpected(std::move(handed.error()));
    spdlog::warn("the receiver does not get the report: {}", handed.error().message());
  }
  return report;
}

}  // namespace strictsend::conformance
