// SPDX-License-Identifier: Apache-2.0
#include "apps/demo/demo_command.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <boost/program_options.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "apps/cli/command.hpp"
#include "apps/cli/doctor_pointer.hpp"
#include "apps/cli/exit_code.hpp"
#include "apps/cli/values.hpp"
#include "apps/demo/experiment.hpp"
#include "apps/strictness/work_directory.hpp"

namespace strictsend::demo {
namespace {

namespace po = boost::program_options;

/// So many pages at least must have been rescued from a writer, or nothing was shown: of a file of
/// the default size or larger 10,000, of a smaller one, which is downloaded while few writes are
/// made, a sixteenth.
std::uint64_t rescued_pages_min(std::uint64_t file_bytes) {
  if (file_bytes >= ExperimentConfig{}.file_bytes) return 10'000;
  return file_bytes / 4096 / 16;
}

constexpr const char* help_text = R"(NAME
    strictsend demo - show strict splice at work on this machine

SYNOPSIS
    strictsend demo [OPTION]...

DESCRIPTION
    Makes a veth pair and a network namespace, serves a file over AF_XDP, and downloads it
    with several curls at once while writer threads rewrite it through its mapping as fast
    as they can. Then every download is checked: it must hold every write that had ended
    when its send was submitted, none that began after that, and with a write all earlier
    ones of the same writer. Then the same with page protection off, to show that the
    check can fail. Needs root, ip(8) and curl(1); removes what it made.

OPTIONS
    --size SIZE
        Of the file. Default: 256M.

    --downloads N
        At the same time. Default: 4.

    --rounds N
        Of so many downloads. Default: 2.

    --writers N
        Threads. Default: 2.

    --tx fragments|linear
        Whether the pages themselves are sent, or a copy. Default: fragments.

    --directory DIR
        Where there is room for the file and its downloads. Default: /var/tmp.

    -h, --help
        Print this and exit.

EXIT STATUS
    0  every protected download was strict, and an unprotected one was torn
    1  not so, or something failed: the last line says what
    2  the command line was wrong
    128 + N  signal N stopped it; what it made is removed all the same (Ctrl-C: 130)
)";

struct Options {
  ExperimentConfig experiment;
  std::string directory = "/var/tmp";
  bool help = false;
};

cli::Parsed<Options> parse(std::span<const std::string> arguments) {
  po::options_description description;
  description.add_options()("size", po::value<std::string>())(
      "downloads", po::value<std::string>())("rounds", po::value<std::string>())(
      "writers", po::value<std::string>())("tx", po::value<std::string>())(
      "directory", po::value<std::string>())("help,h", "");
  po::variables_map given;
  try {
    po::store(po::command_line_parser(std::vector(arguments.begin(), arguments.end()))
                  .options(description)
                  .positional({})
                  .run(),
              given);
  } catch (const po::error& error) {
    return tl::unexpected(std::string(error.what()));
  }
  Options options;
  options.help = given.count("help") > 0;
  const auto number = [&](const char* name, std::uint64_t least, std::uint64_t most,
                          auto& value) -> std::optional<std::string> {
    if (given.count(name) == 0) return std::nullopt;
    const auto parsed = cli::parse_number(given[name].as<std::string>(), least, most);
    if (!parsed) return fmt::format("--{}: {}", name, parsed.error());
    value = static_cast<std::remove_reference_t<decltype(value)>>(*parsed);
    return std::nullopt;
  };
  ExperimentConfig& experiment = options.experiment;
  for (const auto& problem : {number("downloads", 1, 64, experiment.parallel_downloads),
                              number("rounds", 1, 100, experiment.rounds),
                              number("writers", 1, 64, experiment.writers)}) {
    if (problem) return tl::unexpected(*problem);
  }
  if (given.count("size") > 0) {
    const auto size = cli::parse_size(given["size"].as<std::string>());
    if (!size) return tl::unexpected("--size: " + size.error());
    if (*size % 4096 != 0 || *size == 0) {
      return tl::unexpected(std::string("--size: give a multiple of 4K, for example 64M"));
    }
    experiment.file_bytes = *size;
  }
  if (given.count("tx") > 0) {
    const auto form = cli::parse_tx_form(given["tx"].as<std::string>());
    if (!form) return tl::unexpected("--tx: " + form.error());
    experiment.form = *form;
  }
  if (given.count("directory") > 0) options.directory = given["directory"].as<std::string>();
  return options;
}

void report(const Findings& f) {
  fmt::print("  port                    {}\n", f.engine);
  fmt::print("  downloaded              {} in {:.1f} s, {}/s\n",
             cli::format_size(static_cast<double>(f.downloaded_bytes)), f.seconds,
             cli::format_size(static_cast<double>(f.downloaded_bytes) / f.seconds));
  fmt::print("  writes meanwhile        {} million, longest stall of a writer {:.2f} ms\n",
             f.writes / 1'000'000, static_cast<double>(f.longest_stall_ns) / 1e6);
  fmt::print("  pages preserved         {} in place, {} by redirecting the writer\n",
             f.stats.pages_preserved, f.stats.pages_redirected);
  fmt::print("  copied in order to send {} bytes\n", f.stats.payload_bytes_copied);
  fmt::print("  retransmitted           {} of {} segments\n", f.stats.segments_retransmitted,
             f.stats.segments_sent);
  fmt::print("  left pinned             {} frames, {} snapshots\n", f.stats.frames_pinned,
             f.stats.snapshots_live);
  fmt::print("  downloads               {} strict, {} torn\n", f.verdicts.size() - f.torn(),
             f.torn());
  for (const checker::Verdict& verdict : f.verdicts) {
    if (verdict.strict()) continue;
    fmt::print("    torn, {} of its pages; first: {}\n", verdict.wrong_pages, verdict.first->text);
  }
}

int failed(const std::string& why) {
  fmt::print("\nDEMO FAILED: {}\n", why);
  return cli::exit_failed;
}

int failed(const Error& error) {
  // A signal: who takes it has the last word.
  return error.errno_value == ECANCELED ? cli::exit_failed : failed(error.message());
}

int failed_to_start(const Error& error) {
  const int code = failed(error);
  // On standard error: what is read of standard output ends with the line that says what failed.
  // The interface is the demo's own and gone with it.
  if (error.errno_value != ECANCELED) fmt::print(stderr, "{}\n", cli::doctor_pointer({}));
  return code;
}

int demo(Options options, const app::StopSignals& signals) {
  fmt::print("Making a network, and a file to serve in it.\n");
  auto directory = strictness::WorkDirectory::create(options.directory, "demo");
  if (!directory) return failed_to_start(directory.error());
  auto network = PrivateNetwork::create();
  if (!network) return failed_to_start(network.error());
  ExperimentConfig& experiment = options.experiment;
  experiment.directory = directory->path();
  experiment.on_round = [&experiment](unsigned round) {
    fmt::print("  round {} of {} is under way\n", round, experiment.rounds);
  };

  fmt::print("{} curls at a time download a file of {} while {} threads rewrite it.\n\n",
             experiment.parallel_downloads,
             cli::format_size(static_cast<double>(experiment.file_bytes)), experiment.writers);
  fmt::print("With protection:\n");
  const auto strict = run_experiment(experiment, *network, signals);
  if (!strict) return failed_to_start(strict.error());
  report(*strict);

  fmt::print("\nThe same without protection:\n");
  experiment.protection = Protection::off_unsafe;
  experiment.rounds = 1;
  const auto unsafe = run_experiment(experiment, *network, signals);
  if (!unsafe) return failed(unsafe.error());
  report(*unsafe);

  const std::uint64_t rescued = strict->stats.pages_preserved + strict->stats.pages_redirected;
  if (strict->torn() > 0) return failed("a protected download was torn");
  if (unsafe->torn() == 0)
    return failed("no unprotected download was torn: the check proves nothing");
  if (rescued < rescued_pages_min(experiment.file_bytes)) {
    return failed(fmt::format("only {} pages had to be preserved; use a larger --size", rescued));
  }
  if (strict->stats.frames_pinned + strict->stats.snapshots_live > 0)
    return failed("frames were left pinned");
  if (experiment.form == TxForm::fragments && strict->stats.payload_bytes_copied > 0) {
    return failed("the engine copied payload");
  }
  fmt::print(
      "\nDEMO PASSED: {} downloads, each the file at one instant; without protection {} of {} were torn.\n",
      strict->verdicts.size(), unsafe->torn(), unsafe->verdicts.size());
  return cli::exit_ok;
}

}  // namespace

int run_demo(std::span<const std::string> arguments) {
  auto options = parse(arguments);
  if (!options) return cli::usage_error("demo", options.error());
  if (options->help) {
    fmt::print("{}", help_text);
    return cli::exit_ok;
  }
  std::signal(SIGPIPE, SIG_IGN);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // whoever reads along through a pipe sees it as it is
  spdlog::set_level(spdlog::level::warn);    // the report is what there is to read
  // Before anything is made that a signal must not leave behind.
  auto signals = app::StopSignals::create();
  if (!signals) return failed(signals.error());
  const int code = demo(std::move(*options), *signals);
  const int number = signals->take();
  if (number == 0) return code;
  fmt::print("\nDEMO STOPPED by SIG{}.\n", ::sigabbrev_np(number));
  return cli::exit_by_signal(number);
}

}  // namespace strictsend::demo
