// SPDX-License-Identifier: Apache-2.0
// Our TCP beside the kernel's over paths that are slow, long, and lose or reorder packets: a curl
// (the kernel's receiver, with SACK and timestamps) downloads a file through the relay
// (tests/relay) from strictsend serve on AF_XDP, and from nginx.
//
// The two are interleaved round by round; both meet the same drawn numbers in a round. Medians of
// the rounds are printed. What the relay did not carry as a wire would have, it counts, and a run
// where that was much says so.
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <poll.h>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <boost/program_options.hpp>
#include <fmt/format.h>

#include "apps/cli/values.hpp"
#include "tests/bench/interrupt.hpp"
#include "tests/bench/statistics.hpp"
#include "tests/bench/transport_cells.hpp"
#include "tests/bench/transport_server.hpp"
#include "tests/relay/relay.hpp"
#include "tests/support/temp_dir.hpp"

namespace strictsend::bench {
namespace {

namespace po = boost::program_options;

constexpr const char* help_text =
    R"(transport_bench - downloads over bad paths, strictsend's TCP beside the kernel's

  --congestion cubic|reno|bbr  of both (default cubic)
  --cells all|quick            which paths (default all; quick: six, in some five minutes)
  --rounds N                   of every download (default 5; with quick 3)
  --help                       this text

Needs root, nginx, curl, ip, ss, sysctl, chrt and ethtool. Everything it makes is removed, on Ctrl-C too.
)";

/// A download that takes longer is cut off, and what came by then counts.
constexpr int download_seconds_max = 15;
constexpr double payload_bytes = 1'448;
constexpr std::array<const char*, 2> names = {"strictsend", "kernel"};

struct Options {
  std::string congestion_control = "cubic";
  bool quick = false;
  unsigned rounds = 0;
  bool help = false;
};

tl::expected<Options, std::string> parse(int argc, char** argv) {
  po::options_description description;
  description.add_options()("congestion", po::value<std::string>())(
      "cells", po::value<std::string>())("rounds", po::value<std::string>())("help", "");
  po::variables_map given;
  try {
    po::store(po::command_line_parser(argc, argv).options(description).positional({}).run(), given);
  } catch (const po::error& error) {
    return tl::unexpected(std::string(error.what()));
  }
  Options options;
  options.help = given.count("help") > 0;
  if (given.count("congestion") > 0) {
    options.congestion_control = given["congestion"].as<std::string>();
    if (options.congestion_control != "cubic" && options.congestion_control != "reno" &&
        options.congestion_control != "bbr")
      return tl::unexpected(std::string("--congestion: cubic, reno or bbr"));
  }
  if (given.count("cells") > 0) {
    const std::string which = given["cells"].as<std::string>();
    if (which != "all" && which != "quick")
      return tl::unexpected(std::string("--cells: all or quick"));
    options.quick = which == "quick";
  }
  options.rounds = options.quick ? 3 : 5;
  if (given.count("rounds") > 0) {
    const auto rounds = cli::parse_number(given["rounds"].as<std::string>(), 1, 1000);
    if (!rounds) return tl::unexpected("--rounds: " + rounds.error());
    options.rounds = static_cast<unsigned>(*rounds);
  }
  return options;
}

struct TransportRun {
  double goodput = 0;        ///< payload bytes a second, from connecting to the last byte
  double again_bytes = 0;    ///< by the sender's own count
  double overflowed = 0;     ///< packets that the queue did not take
  double surplus_bytes = 0;  ///< of payload on the wire, beyond what arrived at the client
  bool cut_off = false;
  std::uint64_t packets = 0;
  std::uint64_t packets_late = 0;
};

struct MeasuredCell {
  TransportCell cell;
  std::uint64_t bytes = 0;
  std::array<std::vector<TransportRun>, 2> runs;  ///< ours, the kernel's

  [[nodiscard]] double median_of(std::size_t whose, double TransportRun::*value) const {
    std::vector<double> values;
    for (const TransportRun& run : runs[whose])
      values.push_back(run.*value);
    return median(std::move(values));
  }
};

class TransportBench {
 public:
  TransportBench(const Options& options, Interrupt& interrupt)
      : options_(options), directory_("/dev/shm"), interrupt_(interrupt) {
    for (const TransportCell& cell : transport_cells(options.quick))
      cells_.push_back({cell, download_bytes(cell, options.congestion_control != "bbr"), {}});
  }

  Result<void> run();
  void print() const;

 private:
  Result<void> make_files() const;
  Result<TransportRun> measure(const MeasuredCell& cell, std::size_t whose, unsigned round);
  Result<test::CommandResult> download(std::uint64_t bytes);

  const Options options_;
  const test::TempDir directory_;
  Interrupt& interrupt_;
  std::vector<MeasuredCell> cells_;
  std::optional<relay::RelayNetwork> net_;
  std::array<std::unique_ptr<TransportServer>, 2> servers_;  ///< go first
};

/// One for each size, named by it.
Result<void> TransportBench::make_files() const {
  for (const MeasuredCell& cell : cells_) {
    const std::string path = directory_.path(std::to_string(cell.bytes));
    if (!std::filesystem::exists(path))
      test::put_file(path, test::random_bytes(cell.bytes, cell.bytes));
  }
  return {};
}

Result<void> TransportBench::run() {
  if (auto made = make_files(); !made) return made;
  auto net = relay::RelayNetwork::create();
  if (!net) return tl::unexpected(std::move(net.error()));
  net_.emplace(std::move(*net));
  const TransportServer::Config config{net_->server(), directory_.path(),
                                       options_.congestion_control};
  servers_[0] = make_strictsend_server(config);
  servers_[1] = make_kernel_server(config);
  if (const std::string why = servers_[1]->restriction(); !why.empty()) {
    return fail("the kernel's congestion control " + options_.congestion_control, 0,
                why + "; modprobe tcp_" + options_.congestion_control);
  }
  for (std::size_t i = 0; i < cells_.size(); ++i) {
    MeasuredCell& cell = cells_[i];
    for (unsigned round = 0; round < options_.rounds; ++round) {
      if (::isatty(STDERR_FILENO) != 0)
        fmt::print(stderr, "path {} of {}, round {}\r", i + 1, cells_.size(), round + 1);
      // Each goes first in turn.
      for (const std::size_t whose : {round % 2, 1 - round % 2}) {
        auto measured = measure(cell, whose, round);
        if (!measured) return tl::unexpected(std::move(measured.error()));
        cell.runs[whose].push_back(*measured);
      }
    }
  }
  return {};
}

Result<test::CommandResult> TransportBench::download(std::uint64_t bytes) {
  auto client = test::ChildProcess::spawn(
      {"chrt", "--rr", "1", "curl", "--silent", "--show-error", "--fail", "--output", "/dev/null",
       "--max-time", std::to_string(download_seconds_max), "--write-out",
       "\n%{size_download} %{time_total}",
       fmt::format("http://{}:{}/{}", net_->server().address, TransportServer::port, bytes)},
      net_->client().namespace_fd);
  if (!client) return tl::unexpected(std::move(client.error()));
  while (true) {
    auto ended = client->wait(milliseconds(200));
    // Asked first: a Ctrl-C ends the client too.
    if (interrupt_.asked()) return fail("curl", ECANCELED, "interrupted");
    if (ended) return *std::move(ended);
  }
}

Result<TransportRun> TransportBench::measure(const MeasuredCell& cell, std::size_t whose,
                                             unsigned round) {
  TransportServer& server = *servers_[whose];
  if (auto started = server.start(); !started) return tl::unexpected(std::move(started.error()));
  auto relay = relay::Relay::start(
      {.interfaces = net_->interfaces(), .links = links_of(cell.cell), .seed = round + 1});
  if (!relay) return tl::unexpected(std::move(relay.error()));
  const auto client = download(cell.bytes);
  // A connection that could not close would go on into the next download.
  ::poll(nullptr, 0, static_cast<int>(2 * cell.cell.rtt.ns / 1'000'000) + 50);
  const auto again = server.stop();
  const auto counters = (*relay)->stop();
  if (!client) return tl::unexpected(client.error());
  if (!again) return tl::unexpected(again.error());

  constexpr int curl_timed_out = 28;
  const std::string& output = client->output;
  unsigned long long bytes = 0;
  double seconds = 0;
  const std::size_t numbers = output.rfind('\n');
  if ((client->exit_code != 0 && client->exit_code != curl_timed_out) ||
      numbers == std::string::npos ||
      std::sscanf(output.c_str() + numbers, "%llu %lf", &bytes, &seconds) != 2 || seconds <= 0)
    return fail(fmt::format("a download from {}", names[whose]), 0, "curl says: " + output);
  const relay::DirectionCounters& there = counters[0];
  if (there.packets_unfit + counters[1].packets_unfit > 0) {
    return fail(fmt::format("relaying for {}", names[whose]), 0,
                "packets came that no wire carries: offloads are on at an end");
  }
  constexpr double header_bytes = 66;
  const double wire_payload_bytes = static_cast<double>(there.link.bytes_offered) -
                                    header_bytes * static_cast<double>(there.link.packets_offered);
  TransportRun run;
  run.goodput = static_cast<double>(bytes) / seconds;
  run.again_bytes = static_cast<double>(*again) * payload_bytes;
  run.overflowed = static_cast<double>(there.link.packets_overflowed);
  run.surplus_bytes = std::max(0.0, wire_payload_bytes - static_cast<double>(bytes));
  run.cut_off = client->exit_code == curl_timed_out;
  run.packets = there.packets_forwarded + counters[1].packets_forwarded;
  run.packets_late = there.packets_late + counters[1].packets_late + there.packets_missed +
                     counters[1].packets_missed + there.packets_not_sent +
                     counters[1].packets_not_sent;
  return run;
}

void TransportBench::print() const {
  constexpr double mbit = 1e6 / 8;
  fmt::print(
      "one curl downloads a file through the relay, median of {} rounds; congestion control {}\n"
      "  path      50 Mbit/s towards the client, a queue of one bandwidth-delay product (64 KiB at\n"
      "            least); reordered: 2 % of the packets late by up to a quarter of the RTT (1 ms\n"
      "            at least); nothing happens to acknowledgements\n"
      "  goodput   payload in Mbit/s, {:.1f} is all; ratio: of ours to the kernel's\n"
      "  again     KiB sent again, by the sender's own count; on the wire: payload beyond what the\n"
      "            client got, so with what was under way when it was cut off\n"
      "  overflow  packets that the queue did not take\n",
      options_.rounds, options_.congestion_control, goodput_max(cells_.front().cell) / mbit);
  if (const std::string restriction = servers_[0]->restriction(); !restriction.empty())
    fmt::print("  strictsend: {}\n", restriction);
  fmt::print("\n{:<27}{:>7} {:>31} {:>6}   {:>13} {:>13} {:>13}\n", "", "", "goodput", "",
             "again KiB", "on the wire", "overflow");
  fmt::print("{:>5} {:>7} {:<12} {:>7} {:>15} {:>15} {:>6}   {:>6} {:>6} {:>6} {:>6} {:>6} {:>6}\n",
             "loss", "RTT", "", "KiB", "ours", "kernel", "ratio", "ours", "kernel", "ours",
             "kernel", "ours", "kernel");
  std::uint64_t packets = 0;
  std::uint64_t late = 0;
  for (const MeasuredCell& cell : cells_) {
    std::array<std::string, 2> goodput;
    std::string note;
    for (const std::size_t whose : {0U, 1U}) {
      double low = cell.runs[whose].front().goodput;
      double high = low;
      std::size_t cut_off = 0;
      for (const TransportRun& run : cell.runs[whose]) {
        low = std::min(low, run.goodput);
        high = std::max(high, run.goodput);
        cut_off += run.cut_off ? 1U : 0U;
        packets += run.packets;
        late += run.packets_late;
      }
      goodput[whose] =
          fmt::format("{:.1f} {:.1f}-{:.1f}", cell.median_of(whose, &TransportRun::goodput) / mbit,
                      low / mbit, high / mbit);
      if (cut_off > 0)
        note +=
            fmt::format("  {}: {} cut off after {} s", names[whose], cut_off, download_seconds_max);
    }
    const auto kib = [&](std::size_t whose, double TransportRun::*value) {
      return cell.median_of(whose, value) / 1024;
    };
    fmt::print(
        "{:>3g} % {:>4} ms {:<12} {:>7} {:>15} {:>15} {:>6.2f}   {:>6.0f} {:>6.0f} {:>6.0f} "
        "{:>6.0f} {:>6.0f} {:>6.0f}{}\n",
        cell.cell.loss_percent, cell.cell.rtt.ns / 1'000'000,
        cell.cell.reordering ? "reordered" : "", cell.bytes >> 10, goodput[0], goodput[1],
        cell.median_of(0, &TransportRun::goodput) / cell.median_of(1, &TransportRun::goodput),
        kib(0, &TransportRun::again_bytes), kib(1, &TransportRun::again_bytes),
        kib(0, &TransportRun::surplus_bytes), kib(1, &TransportRun::surplus_bytes),
        cell.median_of(0, &TransportRun::overflowed), cell.median_of(1, &TransportRun::overflowed),
        note);
  }
  fmt::print("\nthe relay was more than 1 ms late with {} of {} packets, or missed them{}\n", late,
             packets,
             late * 100 > packets ? ": too many; other load takes its processor away" : "");
}

int bench(int argc, char** argv) {
  const auto options = parse(argc, argv);
  if (!options) {
    fmt::print(stderr, "transport_bench: {}\n{}", options.error(), help_text);
    return 2;
  }
  if (options->help) {
    fmt::print("{}", help_text);
    return EXIT_SUCCESS;
  }
  Interrupt interrupt;
  std::signal(SIGPIPE, SIG_IGN);
  if (const auto reason = test::NetNamespacePair::unavailable()) {
    fmt::print("skipped: {}\n", *reason);
    return 77;
  }
  TransportBench bench(*options, interrupt);
  if (auto done = bench.run(); !done) {
    fmt::print(stderr, "\ntransport_bench: {}\n", done.error().message());
    // A Ctrl-C also ends the commands that it was waiting for.
    return interrupt.asked() ? Interrupt::exit_code : EXIT_FAILURE;
  }
  bench.print();
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace strictsend::bench

int main(int argc, char** argv) {
  return strictsend::bench::bench(argc, argv);
}
