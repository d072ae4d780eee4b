// SPDX-License-Identifier: Apache-2.0
#include "apps/conformance/sender_case.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <memory>

#include <fmt/format.h>

#include "apps/conformance/messages.hpp"
#include "apps/conformance/serving.hpp"
#include "apps/strictness/test_file.hpp"
#include "apps/strictness/writers.hpp"

namespace strictsend::conformance {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;
using strictness::Writers;

/// How long the receiver may take to replay the writes and read its downloads again.
constexpr seconds judgement_limit{600};

/// For so long the control's writers write; what they can spoil they do in less.
constexpr seconds control_writing{4};

/// Each word is written a few times, by how many threads ever; half a byte each, and all of it
/// stays below 40 MB.
std::uint64_t writes_max(const Options& options) {
  constexpr std::uint64_t least = 1'000'000;
  constexpr std::uint64_t each_most = 40'000'000;
  constexpr std::uint64_t all_most = 80'000'000;
  return std::clamp(options.file_bytes / 8 * 4, least,
                    std::min(each_most, all_most / options.writers));
}

std::uint64_t log_bytes(const Options& options) {
  return writes_max(options) / checker::WriteLog::batch_writes * 8;
}

std::string directory_of(const SenderRun& run, std::uint32_t number) {
  return fmt::format("{}-{}", run.id, number);
}

/// Tells a receiver that has gone from one whose downloads are slow: those are under way.
class LastProgress {
 public:
  struct State {
    std::uint32_t begun = 0;  ///< downloads
    std::uint32_t ended = 0;
    bool operator==(const State&) const = default;
  };
  bool longer_ago_than(milliseconds limit, const State& now) {
    const auto time = std::chrono::steady_clock::now();
    if (now != last_ || now.begun != now.ended) {
      last_ = now;
      at_ = time;
    }
    return time - at_ > limit;
  }

 private:
  State last_;
  std::chrono::steady_clock::time_point at_ = std::chrono::steady_clock::now();
};

class SenderCase {
 public:
  SenderCase(const SenderRun& run, Case which, std::uint32_t number)
      : run_(run), options_(run.options) {
    result_.which = which;
    plan_.case_name = name_of(which);
    plan_.layout = {.file_bytes = options_.file_bytes, .writers = options_.writers, .seed = number};
    plan_.downloads = options_.downloads;
    plan_.parallel = std::min(downloads_at_a_time, options_.downloads);
    plan_.directory = directory_of(run, number);
  }

  Result<CaseResult> run() {
    Result<void> made = make_files();
    if (!made) return tl::unexpected(std::move(made.error()));
    auto serving = Serving::open(engine_config(result_.which, run_.port, base_config(options_)),
                                 options_.peer);
    if (!serving) return failed(serving.error());
    result_.port = (*serving)->engine().port();
    Result<void> done = serve_downloads(**serving);
    if (!done) return tl::unexpected(std::move(done.error()));
    result_.stats = (*serving)->stop();
    return result_;
  }

 private:
  [[nodiscard]] std::string target(const std::string& name) const {
    return fmt::format("/{}/{}", plan_.directory, name);
  }
  [[nodiscard]] std::string path(const std::string& name) const { return run_.root + target(name); }
  CaseResult failed(const Error& error) {
    result_.failure = error.message();
    return result_;
  }

  /// All but what is known at the end.
  Result<void> make_files() {
    std::error_code error;
    fs::create_directory(path(""), error);
    if (error) return fail("making " + path(""), error.value(), "see --directory");
    if (auto put = put_file(path("verdict"), std::string("heard\n")); !put) return put;
    if (auto put = put_file(run_.root + "/plan.json", to_json(plan_)); !put) return put;
    return strictness::write_test_file(path("data"), options_.file_bytes, run_.signals);
  }

  Result<void> serve_downloads(Serving& serving) {
    auto layout = checker::Layout::create(plan_.layout);
    if (!layout) return tl::unexpected(std::move(layout.error()));
    auto file = serving.engine().open_file(path("data"), O_RDWR);
    if (!file) return give_up(file.error());
    if (auto started = serving.start(run_.root, options_.port); !started)
      return give_up(started.error());
    const auto asks_for_plan = [&] { return serving.submissions().of("/plan.json").has_value(); };
    if (auto came = receiver_comes(asks_for_plan); !came) return came;

    auto writers = start_writers(*layout, *file);
    if (!writers) return give_up(writers.error());
    LastProgress progress;
    const auto done = [&] {
      return all_released(serving) || has_verdict(serving) || !spoiled(serving).empty() ||
             progress.longer_ago_than(options_.wait, progress_of(serving));
    };
    if (result_.which == Case::control) {
      // A torn packet whose sum was made in software is refused by the receiver, as often as
      // somebody writes before the device reads. So that the downloads end, the writers do.
      if (auto waited = wait_until(done, control_writing, run_.signals); !waited)
        return tl::unexpected(std::move(waited.error()));
      (*writers)->join();
    }
    Result<bool> downloaded = wait_until(done, case_limit(), run_.signals);
    if (!downloaded) return tl::unexpected(std::move(downloaded.error()));
    (*writers)->join();
    result_.writes = (*writers)->writes();
    if (!*downloaded) return give_up("the downloads did not end in time");
    if ((*writers)->error() != 0)
      return give_up(Error{"writing to the file under test", (*writers)->error(), {}}.message());
    const bool judged_early = has_verdict(serving);
    if (!judged_early) {
      if (std::string why = spoiled(serving); !why.empty()) return give_up(std::move(why));
      if (!all_released(serving)) return give_up("the receiver asked for no more downloads");
      if (auto put = publish(serving, **writers); !put) return put;
    }
    if (auto heard = hear_verdict(serving); !heard || !result_.failure.empty()) return heard;
    if (judged_early) return give_up("the receiver judged before it had the write logs");
    return give_up(spoiled(serving));  // or not: a second receiver may have come since
  }

  /// A failure that costs the case, not the run.
  Result<void> give_up(std::string why) {
    result_.failure = std::move(why);
    return {};
  }
  Result<void> give_up(const Error& error) { return give_up(error.message()); }

  Result<void> receiver_comes(const std::function<bool()>& condition) {
    Result<bool> came = wait_until(condition, options_.wait, run_.signals);
    if (!came) return tl::unexpected(std::move(came.error()));
    if (*came) return {};
    return fail("waiting for the receiver", ETIMEDOUT,
                "it must run `strictsend conformance --peer` with this end's address, at the "
                "address that --peer names here, and reach this port; --wait gives it more time");
  }

  Result<std::unique_ptr<Writers>> start_writers(const checker::Layout& layout, File& file) {
    const strictness::WriteBudget budget{
        .writes_max = writes_max(options_),
        .lasts = std::chrono::duration_cast<seconds>(case_limit())};
    const std::string threads =
        fmt::format("{} thread{}", layout.writers(), layout.writers() == 1 ? "" : "s");
    if (options_.write != WriteWay::api) {
      Result<std::span<std::byte>> mapping = file.map();
      if (mapping) {
        result_.writing = threads + " through the mapping";
        return std::make_unique<Writers>(layout, *mapping, budget);
      }
      if (options_.write == WriteWay::mapping || mapping.error().errno_value != ENOTSUP)
        return tl::unexpected(std::move(mapping.error()));
    }
    result_.writing = threads + " through the file API";
    return std::make_unique<Writers>(layout, file, budget);
  }

  [[nodiscard]] milliseconds case_limit() const {
    const std::uint32_t rounds = (plan_.downloads + plan_.parallel - 1) / plan_.parallel;
    return seconds(std::uint64_t{rounds} *
                   download_seconds_max(options_.file_bytes, plan_.parallel));
  }
  [[nodiscard]] std::string download_target(std::uint32_t download) const {
    return fmt::format("{}?download={}", target("data"), download);
  }
  [[nodiscard]] bool all_released(const Serving& serving) const {
    for (std::uint32_t i = 0; i < plan_.downloads; ++i) {
      const auto download = serving.submissions().of(download_target(i));
      if (!download || !download->released) return false;
    }
    return true;
  }
  /// How far the downloads are.
  [[nodiscard]] LastProgress::State progress_of(const Serving& serving) const {
    LastProgress::State state;
    for (std::uint32_t i = 0; i < plan_.downloads; ++i) {
      const auto download = serving.submissions().of(download_target(i));
      if (!download) continue;
      ++state.begun;
      if (download->released) ++state.ended;
    }
    return state;
  }
  /// Why the downloads cannot be judged any more; empty: they can. Their times would be those of
  /// other downloads, and a strict one would look torn.
  [[nodiscard]] std::string spoiled(const Serving& serving) const {
    for (std::uint32_t i = 0; i < plan_.downloads; ++i) {
      const auto download = serving.submissions().of(download_target(i));
      if (!download) continue;
      if (download->times != 1)
        return fmt::format(
            "download {} was asked for again: was the receiver started anew, or is there a second?",
            i);
      if (download->released && download->error != 0)
        return Error{fmt::format("download {}", i), download->error, "it ended early"}.message();
    }
    return {};
  }
  [[nodiscard]] std::string verdict_beginning() const { return target("verdict?"); }
  [[nodiscard]] bool has_verdict(const Serving& serving) const {
    return serving.submissions().beginning_with(verdict_beginning()).has_value();
  }

  /// The submit times come last: with them the receiver knows that all is there.
  Result<void> publish(const Serving& serving, const Writers& writers) {
    std::vector<SubmitInterval> submits;
    for (std::uint32_t i = 0; i < plan_.downloads; ++i) {
      const auto download = serving.submissions().of(download_target(i));
      submits.push_back({download->begin_ns, download->return_ns});
    }
    for (std::size_t w = 0; w < writers.logs().size(); ++w) {
      if (auto put = put_file(path(fmt::format("log-{}", w)), to_bytes(writers.logs()[w])); !put)
        return put;
    }
    return put_file(path("submits.json"), to_json(submits));
  }

  Result<void> hear_verdict(const Serving& serving) {
    const auto has_come = [&] { return has_verdict(serving); };
    const Result<bool> came = wait_until(has_come, judgement_limit, run_.signals);
    if (!came) return tl::unexpected(came.error());
    if (!*came) return give_up("the receiver gave no verdict");
    const std::string asked = *serving.submissions().beginning_with(verdict_beginning());
    // It shall get its answer before the port goes away; if not, it is none the worse for it.
    const auto released = [&] { return serving.submissions().of(asked)->released; };
    if (auto waited = wait_until(released, seconds(5), run_.signals); !waited)
      return tl::unexpected(waited.error());
    const auto verdict = parse_verdict(std::string_view(asked).substr(target("verdict").size()));
    if (!verdict) return give_up(verdict.error());
    result_.verdict = *verdict;
    if (!verdict->failure.empty()) return give_up("at the receiver: " + verdict->failure);
    if (verdict->strict + verdict->torn != plan_.downloads)
      return give_up("the receiver did not judge every download");
    return {};
  }

  const SenderRun& run_;
  const Options& options_;
  Plan plan_;
  CaseResult result_;
};

}  // namespace

EngineConfig base_config(const Options& options) {
  EngineConfig config = options.engine;
  const std::uint64_t parallel = std::min(downloads_at_a_time, options.downloads);
  // The file, for each download under way as much again (its old pages, should all be written), a
  // log, and a sixteenth or more that is spare.
  const std::uint64_t bytes = options.file_bytes * (parallel + 1) + log_bytes(options);
  constexpr std::uint64_t page_bytes = checker::Layout::page_bytes;
  config.cache_bytes = bytes + std::max<std::uint64_t>(bytes / 16, 8 << 20);
  config.cache_bytes -= config.cache_bytes % page_bytes;
  config.preserved_bytes_max = config.preserved_bytes_per_connection_max = config.cache_bytes;
  // One host's few connections; but each of up to 256 queues wants its share.
  config.max_connections = 512;
  config.max_splices = 1024;
  return config;
}

Result<CaseResult> run_case(const SenderRun& run, Case which, std::uint32_t number) {
  Result<CaseResult> result = SenderCase(run, which, number).run();
  std::error_code ignored;
  fs::remove_all(run.root + "/" + directory_of(run, number), ignored);
  return result;
}

}  // namespace strictsend::conformance
