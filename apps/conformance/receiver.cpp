// SPDX-License-Identifier: Apache-2.0
#include "apps/conformance/receiver.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <span>
#include <vector>

#include <fmt/format.h>

#include "apps/conformance/fetch.hpp"
#include "apps/conformance/messages.hpp"
#include "apps/conformance/resources.hpp"
#include "apps/strictness/checker/check.hpp"
#include "apps/strictness/checker/mapped_file.hpp"
#include "apps/strictness/interruption.hpp"
#include "apps/strictness/work_directory.hpp"

namespace strictsend::conformance {
namespace {

using std::chrono::seconds;
using strictness::Subprocess;

/// Logs and submit times are ready as soon as the sender's last download is released.
constexpr seconds publish_limit{60};

class Receiver {
 public:
  Receiver(const Options& options, std::string directory, const app::StopSignals& signals)
      : options_(options),
        signals_(signals),
        fetch_(fmt::format("{}:{}", to_url_host(options.peer), options.port), std::move(directory),
               signals) {}

  Result<std::string> run() {
    fmt::print("Waiting for the sender.\n");
    for (std::string last_directory;;) {
      auto plan = next_plan(last_directory);
      if (!plan) return tl::unexpected(std::move(plan.error()));
      if (plan->finished) return fetch_.text("/report.txt", report_bytes_max, options_.wait);
      last_directory = plan->directory;
      if (auto done = run_case(*plan); !done) return tl::unexpected(std::move(done.error()));
    }
  }

 private:
  /// Between two cases the sender may answer with the old plan for a while, or not at all.
  Result<Plan> next_plan(const std::string& last_directory) {
    const auto end = std::chrono::steady_clock::now() + options_.wait;
    while (true) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
          end - std::chrono::steady_clock::now());
      Result<std::string> json = fetch_.text("/plan.json", plan_bytes_max, left);
      if (!json) {
        Error& error = json.error();
        if (error.errno_value == ETIMEDOUT)
          error.hint +=
              "; the sender must run `strictsend conformance --nic` with this end's "
              "address behind --peer, and --wait gives it more time";
        return tl::unexpected(std::move(error));
      }
      Result<Plan> plan = parse_plan(*json);
      if (!plan || plan->finished || plan->directory != last_directory) return plan;
      if (left.count() <= 0)
        return fail("waiting for the sender's next case", ETIMEDOUT,
                    "its own output says what it does; --wait gives it more time");
      if (auto go_on = strictness::unless_stopped(signals_, 200); !go_on)
        return tl::unexpected(std::move(go_on.error()));
    }
  }

  Result<void> run_case(const Plan& plan) {
    fmt::print("Case {}: {} downloads of {} MiB\n", plan.case_name, plan.downloads,
               plan.layout.file_bytes >> 20);
    CaseVerdict verdict;
    Result<void> judged = download_and_judge(plan, verdict);
    for (std::uint32_t i = 0; i < plan.downloads; ++i)
      remove(download_name(i));
    if (!judged) {
      if (judged.error().errno_value == ECANCELED) return judged;
      if (judged.error().errno_value == ESTALE) return given_up();
      verdict = {};
      verdict.failure = judged.error().message();
    }
    fmt::print("  {} strict, {} torn{}{}\n", verdict.strict, verdict.torn,
               verdict.failure.empty() ? "" : ": ", verdict.failure);
    if (!verdict.first.empty()) fmt::print("  first: {}\n", verdict.first);
    Result<std::string> told = of_case(plan, "verdict" + to_query(verdict), plan_bytes_max);
    if (told) return {};
    if (told.error().errno_value == ESTALE) return given_up();
    return tl::unexpected(std::move(told.error()));
  }

  /// Not this end's failure: the next plan says how it goes on.
  static Result<void> given_up() {
    fmt::print("  the sender gave this case up\n");
    return {};
  }

  [[nodiscard]] static std::string target(const Plan& plan, std::string_view name) {
    return fmt::format("/{}/{}", plan.directory, name);
  }

  /// What belongs to a case, as soon as it is there. ESTALE when the sender has gone on without it.
  Result<std::string> of_case(const Plan& plan, std::string_view name, std::uint64_t bytes_max) {
    const auto end = std::chrono::steady_clock::now() + publish_limit;
    while (true) {
      Result<std::string> answer =
          fetch_.text(target(plan, name), bytes_max, std::chrono::milliseconds(0));
      if (answer || answer.error().errno_value != ETIMEDOUT) return answer;
      Result<std::string> json = fetch_.text("/plan.json", plan_bytes_max, options_.wait);
      if (!json) return json;
      const Result<Plan> now = parse_plan(*json);
      if (!now) return tl::unexpected(now.error());
      if (now->finished || now->directory != plan.directory)
        return fail("case " + plan.case_name, ESTALE, "the sender gave it up");
      if (std::chrono::steady_clock::now() >= end) return answer;
      if (auto go_on = strictness::unless_stopped(signals_, 200); !go_on)
        return tl::unexpected(std::move(go_on.error()));
    }
  }

  Result<void> download_and_judge(const Plan& plan, CaseVerdict& verdict) {
    auto layout = checker::Layout::create(plan.layout);
    if (!layout) return tl::unexpected(std::move(layout.error()));
    if (auto fits = check_resources(plan, fetch_.path("")); !fits) return fits;
    for (std::uint32_t first = 0; first < plan.downloads; first += plan.parallel) {
      const std::uint32_t end = std::min(first + plan.parallel, plan.downloads);
      if (auto done = download(plan, first, end); !done) return done;
    }
    auto submits = fetch_submits(plan);
    if (!submits) return tl::unexpected(std::move(submits.error()));
    auto logs = fetch_logs(plan);
    if (!logs) return tl::unexpected(std::move(logs.error()));
    return judge(*layout, *submits, *logs, verdict);
  }

  Result<void> download(const Plan& plan, std::uint32_t first, std::uint32_t end) {
    const seconds limit(download_seconds_max(plan.layout.file_bytes, plan.parallel));
    std::vector<Subprocess> clients;
    for (std::uint32_t i = first; i < end; ++i) {
      auto client = fetch_.start(target(plan, fmt::format("data?download={}", i)), download_name(i),
                                 plan.layout.file_bytes, limit);
      if (!client) return tl::unexpected(std::move(client.error()));
      clients.push_back(std::move(*client));
    }
    if (auto ended = strictness::wait_until_ended(clients, signals_); !ended) return ended;
    for (std::size_t i = 0; i < clients.size(); ++i) {
      const Result<int> status = clients[i].wait_for_status();
      if (!status) return tl::unexpected(status.error());
      if (*status != 0)
        return fail(fmt::format("download {}", first + i), 0, Fetch::meaning(*status));
      // Another file is no torn one: the control must not pass for that.
      std::error_code error;
      const std::uintmax_t bytes = std::filesystem::file_size(
          fetch_.path(download_name(first + static_cast<std::uint32_t>(i))), error);
      if (error || bytes != plan.layout.file_bytes)
        return fail(fmt::format("download {}", first + i), error.value(),
                    fmt::format("it has {} bytes, the file under test {}", error ? 0 : bytes,
                                plan.layout.file_bytes));
    }
    return {};
  }

  Result<std::vector<SubmitInterval>> fetch_submits(const Plan& plan) {
    auto json = of_case(plan, "submits.json", submits_bytes_max);
    if (!json) return tl::unexpected(std::move(json.error()));
    return parse_submits(*json, plan.downloads);
  }

  Result<std::vector<checker::WriteLog>> fetch_logs(const Plan& plan) {
    std::vector<checker::WriteLog> logs;
    for (std::uint32_t w = 0; w < plan.layout.writers; ++w) {
      auto bytes = of_case(plan, fmt::format("log-{}", w), log_bytes_max / plan.layout.writers);
      if (!bytes) return tl::unexpected(std::move(bytes.error()));
      auto log = parse_log(std::as_bytes(std::span(*bytes)));
      if (!log) return tl::unexpected(std::move(log.error()));
      logs.push_back(std::move(*log));
    }
    return logs;
  }

  Result<void> judge(const checker::Layout& layout, std::span<const SubmitInterval> submits,
                     std::span<const checker::WriteLog> logs, CaseVerdict& verdict) const {
    std::vector<checker::MappedFile> mapped;
    std::vector<checker::Download> downloads;
    for (std::uint32_t i = 0; i < submits.size(); ++i) {
      auto file = checker::MappedFile::open(fetch_.path(download_name(i)));
      if (!file) return tl::unexpected(std::move(file.error()));
      mapped.push_back(std::move(*file));
      downloads.push_back({fmt::format("download {}", i), mapped.back().bytes(),
                           submits[i].begin_ns, submits[i].return_ns});
    }
    const std::vector<checker::Verdict> found = checker::check(layout, logs, downloads, 2);
    for (std::size_t i = 0; i < found.size(); ++i) {
      ++(found[i].strict() ? verdict.strict : verdict.torn);
      verdict.wrong_pages += found[i].wrong_pages;
      if (!found[i].strict() && verdict.first.empty())
        verdict.first = downloads[i].name + ", " + found[i].first->text;
    }
    return {};
  }

  static std::string download_name(std::uint32_t number) {
    return fmt::format("download-{}", number);
  }
  void remove(const std::string& name) const {
    std::error_code ignored;
    std::filesystem::remove(fetch_.path(name), ignored);
  }

  const Options& options_;
  const app::StopSignals& signals_;
  Fetch fetch_;
};

}  // namespace

Result<std::string> run_receiver(const Options& options, const app::StopSignals& signals) {
  auto directory = strictness::WorkDirectory::create(options.directory, "conformance");
  if (!directory) return tl::unexpected(std::move(directory.error()));
  return Receiver(options, directory->path(), signals).run();
}

}  // namespace strictsend::conformance
