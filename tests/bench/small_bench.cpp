// SPDX-License-Identifier: Apache-2.0
// What answering requests for small files takes: wrk asks for one cached file over and over, on
// connections that stay open, over a veth pair; strictsend's server beside nginx. Requests per
// second say little where both ends share the cores, so what counts is requests per second of
// processor time, the client's and the kernel's work for both ends included: see CpuTime.
//
// The two are interleaved, round by round; medians are printed, and ratios to nginx.
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <boost/program_options.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "apps/cli/values.hpp"
#include "tests/bench/download.hpp"
#include "tests/bench/sender.hpp"
#include "tests/bench/statistics.hpp"
#include "tests/support/temp_dir.hpp"

namespace strictsend::bench {
namespace {

namespace po = boost::program_options;

constexpr const char* help_text =
    R"(small_bench - requests for small cached files, strictsend beside nginx

  --rounds N                of each size and server (default 5)
  --seconds N               of each round (default 3)
  --connections N           kept open by wrk (default 32)
  --help                    this text

Needs root, nginx, wrk, ip and ethtool. Everything it makes is removed, on Ctrl-C too.
)";

constexpr std::uint64_t sizes_kib[] = {1, 4, 16, 64};
/// The one that the senders map; nobody asks for it but to see that all is well.
constexpr std::uint64_t mapped_bytes = 1 << 20;

struct Options {
  unsigned rounds = 5;
  unsigned seconds = 3;
  unsigned connections = 32;
  bool help = false;
};

tl::expected<Options, std::string> parse(int argc, char** argv) {
  Options options;
  struct Number {
    const char* name;
    unsigned* value;
  };
  const Number numbers[] = {{"rounds", &options.rounds},
                            {"seconds", &options.seconds},
                            {"connections", &options.connections}};
  po::options_description description;
  description.add_options()("help", "");
  for (const Number& number : numbers)
    description.add_options()(number.name, po::value<std::string>());
  po::variables_map given;
  try {
    po::store(po::command_line_parser(argc, argv).options(description).positional({}).run(), given);
  } catch (const po::error& error) {
    return tl::unexpected(std::string(error.what()));
  }
  options.help = given.count("help") > 0;
  for (const Number& number : numbers) {
    if (given.count(number.name) == 0) continue;
    const auto value = cli::parse_number(given[number.name].as<std::string>(), 1, 1000);
    if (!value) return tl::unexpected("--" + std::string(number.name) + ": " + value.error());
    *number.value = static_cast<unsigned>(*value);
  }
  return options;
}

struct Round {
  double requests_second = 0;
  double requests_cpu_second = 0;
  double p50_us = 0;
  double p99_us = 0;
  double own_share = 0;  ///< of all cores
};

struct Contestant {
  const char* name;
  std::optional<Cable> cable;
  std::unique_ptr<Sender> sender;  ///< goes first
  std::vector<std::vector<Round>> rounds{std::size(sizes_kib)};

  [[nodiscard]] double median_of(std::size_t size, double Round::*value) const {
    std::vector<double> values;
    for (const Round& round : rounds[size])
      values.push_back(round.*value);
    return median(std::move(values));
  }
};

class SmallBench {
 public:
  SmallBench(const Options& options, Interrupt& interrupt)
      : options_(options), interrupt_(interrupt) {}

  Result<void> run() {
    make_files();
    contestants_[0].name = "nginx";
    contestants_[1].name = "strictsend";
    for (std::size_t i = 0; i < std::size(contestants_); ++i) {
      if (auto started = start(i); !started) return started;
    }
    for (std::size_t size = 0; size < std::size(sizes_kib); ++size) {
      for (unsigned round = 0; round <= options_.rounds; ++round) {
        for (std::size_t i = 0; i < std::size(contestants_); ++i) {
          // Each goes first in turn; the first round warms up.
          Contestant& contestant = contestants_[(i + round) % std::size(contestants_)];
          auto done = measure(contestant, size);
          if (!done) return tl::unexpected(std::move(done.error()));
          if (round > 0) contestant.rounds[size].push_back(*done);
        }
      }
    }
    return {};
  }

  void print() const {
    std::printf(
        "wrk with %u connections asks for one cached file, %u s a round, median of %u rounds\n"
        "  network     veth pair, far end in a namespace, MTU 1500; TSO, GSO and GRO off at both "
        "ends,\n              checksum offload on at both; %u cores for both ends\n"
        "  strictsend  %s\n"
        "CPU is of both ends and the kernel, without others' load\n",
        options_.connections, options_.seconds, options_.rounds,
        std::thread::hardware_concurrency(), contestants_[1].sender->description().c_str());
    std::printf("%-8s %-11s %11s %6s %14s %6s %9s %9s %6s %7s\n", "", "", "requests/s", "ratio",
                "per CPU second", "ratio", "p50 us", "p99 us", "ratio", "own CPU");
    for (std::size_t size = 0; size < std::size(sizes_kib); ++size) {
      for (const Contestant& contestant : contestants_) {
        const auto value = [&](double Round::*of) { return contestant.median_of(size, of); };
        const auto ratio = [&](double Round::*of) {
          return value(of) / contestants_[0].median_of(size, of);
        };
        std::printf("%-8s %-11s %11.0f %6.2f %14.0f %6.2f %9.0f %9.0f %6.2f %5.0f %%\n",
                    fmt::format("{} KiB", sizes_kib[size]).c_str(), contestant.name,
                    value(&Round::requests_second), ratio(&Round::requests_second),
                    value(&Round::requests_cpu_second), ratio(&Round::requests_cpu_second),
                    value(&Round::p50_us), value(&Round::p99_us), ratio(&Round::p99_us),
                    100 * value(&Round::own_share));
      }
    }
  }

 private:
  void make_files() const {
    test::put_file(directory_.path(Sender::file_name), test::random_bytes(mapped_bytes, 1));
    for (const std::uint64_t kib : sizes_kib)
      test::put_file(directory_.path(name_of(kib)), test::random_bytes(kib << 10, kib));
    ::chmod(directory_.path().c_str(), 0755);
  }
  static std::string name_of(std::uint64_t kib) { return fmt::format("{}k", kib); }

  Result<void> start(std::size_t number) {
    Contestant& contestant = contestants_[number];
    auto cable = Cable::create(false, true);
    if (!cable) return tl::unexpected(std::move(cable.error()));
    contestant.cable.emplace(std::move(*cable));
    const test::NetNamespacePair::End& near = contestant.cable->net.near();
    const Sender::Config config{near.interface_name, near.address, directory_.path(), mapped_bytes};
    auto sender =
        number == 0 ? start_nginx(config, true) : start_strictsend(config, TxForm::automatic);
    if (!sender) return tl::unexpected(std::move(sender.error()));
    contestant.sender = std::move(*sender);
    return check_content(*contestant.cable, directory_.path(Sender::file_name), interrupt_);
  }

  Result<Round> measure(const Contestant& contestant, std::size_t size) {
    const test::NetNamespacePair& net = contestant.cable->net;
    const CpuTime begin = CpuTime::now(contestant.sender->processes());
    auto client = net.spawn_in_namespace({"wrk", "--threads", "1", "--connections",
                                          std::to_string(options_.connections), "--duration",
                                          std::to_string(options_.seconds) + "s", "--latency",
                                          "--script", WRK_NUMBERS_SCRIPT,
                                          fmt::format("http://{}:{}/{}", net.near().address,
                                                      +Sender::port, name_of(sizes_kib[size]))});
    if (!client) return tl::unexpected(std::move(client.error()));
    std::optional<test::CommandResult> result;
    while (!(result = client->wait(milliseconds(100)))) {
      if (interrupt_.asked()) return fail("requests", ECANCELED);
    }
    const CpuTime took = CpuTime::now(contestant.sender->processes()) - begin;
    long long requests = 0;
    double seconds = 0;
    double p50 = 0;
    double p99 = 0;
    long long errors = 0;
    const std::size_t line = result->output.find("numbers ");
    if (line == std::string::npos ||
        std::sscanf(result->output.c_str() + line, "numbers %lld %lf %lf %lf %lld", &requests,
                    &seconds, &p50, &p99, &errors) != 5 ||
        requests == 0 || seconds <= 0)
      return fail("wrk", 0, result->output);
    if (errors != 0)
      return fail(
          "wrk", 0,
          fmt::format("{} requests to {} went wrong: {}", errors, contestant.name, result->output));
    return Round{static_cast<double>(requests) / seconds,
                 static_cast<double>(requests) / took.own_seconds, p50, p99,
                 took.own_seconds / seconds / std::thread::hardware_concurrency()};
  }

  const Options options_;
  Interrupt& interrupt_;
  const test::TempDir directory_;
  Contestant contestants_[2];
};

int bench(int argc, char** argv) {
  const auto options = parse(argc, argv);
  if (!options) {
    std::fprintf(stderr, "small_bench: %s\n%s", options.error().c_str(), help_text);
    return 2;
  }
  if (options->help) {
    std::printf("%s", help_text);
    return EXIT_SUCCESS;
  }
  Interrupt interrupt;
  std::signal(SIGPIPE, SIG_IGN);
  spdlog::set_level(spdlog::level::critical);
  if (const auto reason = test::NetNamespacePair::unavailable()) {
    std::printf("skipped: %s\n", reason->c_str());
    return 77;
  }
  SmallBench bench(*options, interrupt);
  if (auto done = bench.run(); !done) {
    std::fprintf(stderr, "small_bench: %s\n", done.error().message().c_str());
    return interrupt.asked() ? Interrupt::exit_code : EXIT_FAILURE;
  }
  bench.print();
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace strictsend::bench

int main(int argc, char** argv) {
  try {
    return strictsend::bench::bench(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "small_bench: %s\n", error.what());
    return 1;
  }
}
