// SPDX-License-Identifier: Apache-2.0
// What it takes to send a cached file: one curl downloads it over a veth pair while nobody, 1 % or
// 10 % of its pages per second are rewritten through a mapping. strictsend in both packet forms
// beside nginx with sendfile (no copy, and whatever a page holds when it is received is what was
// sent) and without (copies; not the file at one instant either, but each byte is read once).
//
// The programs are interleaved, round by round; medians of the rounds are printed, and ratios to
// nginx without sendfile at the same rate of rewriting. CPU time is of the whole machine,
// the client's and the kernel's work for both ends included: see CpuTime.
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <sstream>
#include <thread>
#include <unistd.h>
#include <vector>

#include <boost/program_options.hpp>
#include <spdlog/spdlog.h>

#include "apps/cli/values.hpp"
#include "base/page.hpp"
#include "tests/bench/download.hpp"
#include "tests/bench/sender.hpp"
#include "tests/bench/statistics.hpp"
#include "tests/support/temp_dir.hpp"

namespace strictsend::bench {
namespace {

namespace po = boost::program_options;

constexpr const char* help_text =
    R"(goodput_bench - downloads of a cached file, strictsend beside nginx

  --size SIZE               of the file (default 1G)
  --rounds N                of every kind of download (default 5)
  --rewritten PERCENT,…     of the file's pages per second (default 0,1,10)
  --directory DIR           where the file is made, twice (default /dev/shm); on a tmpfs all in all
                            six times its size is needed of memory
  --checksum-offload on|off at both ends; off: each packet is summed (default on)
  --help                    this text

Needs root, nginx, curl, ip and ethtool. Everything it makes is removed, on Ctrl-C too.
)";

struct Options {
  std::uint64_t file_bytes = std::uint64_t{1} << 30;
  unsigned rounds = 5;
  std::vector<int> rewritten_percents = {0, 1, 10};
  std::string directory = "/dev/shm";
  bool checksum_offload = true;
  bool help = false;
};

tl::expected<Options, std::string> parse(int argc, char** argv) {
  po::options_description description;
  description.add_options()("size", po::value<std::string>())("rounds", po::value<std::string>())(
      "rewritten", po::value<std::string>())("directory", po::value<std::string>())(
      "checksum-offload", po::value<std::string>())("help", "");
  po::variables_map given;
  try {
    po::store(po::command_line_parser(argc, argv).options(description).positional({}).run(), given);
  } catch (const po::error& error) {
    return tl::unexpected(std::string(error.what()));
  }
  Options options;
  options.help = given.count("help") > 0;
  if (given.count("size") > 0) {
    const auto size = cli::parse_size(given["size"].as<std::string>());
    if (!size) return tl::unexpected("--size: " + size.error());
    if (*size % page_bytes != 0 || *size == 0)
      return tl::unexpected(std::string("--size: give a multiple of 4K, for example 256M"));
    options.file_bytes = *size;
  }
  if (given.count("rounds") > 0) {
    const auto rounds = cli::parse_number(given["rounds"].as<std::string>(), 1, 1000);
    if (!rounds) return tl::unexpected("--rounds: " + rounds.error());
    options.rounds = static_cast<unsigned>(*rounds);
  }
  if (given.count("rewritten") > 0) {
    options.rewritten_percents.clear();
    std::istringstream list(given["rewritten"].as<std::string>());
    for (std::string word; std::getline(list, word, ',');) {
      const auto percent = cli::parse_number(word, 0, 1000);
      if (!percent) return tl::unexpected("--rewritten: " + percent.error());
      options.rewritten_percents.push_back(static_cast<int>(*percent));
    }
  }
  if (given.count("directory") > 0) options.directory = given["directory"].as<std::string>();
  if (given.count("checksum-offload") > 0) {
    const std::string word = given["checksum-offload"].as<std::string>();
    if (word != "on" && word != "off")
      return tl::unexpected(std::string("--checksum-offload: on or off"));
    options.checksum_offload = word == "on";
  }
  return options;
}

/// One kind of download, and what its rounds gave.
struct Cell {
  int rewritten_percent = 0;
  std::vector<Download> rounds;

  template <class Value>
  [[nodiscard]] double median_of(Value&& value) const {
    std::vector<double> values;
    for (const Download& round : rounds)
      values.push_back(value(round));
    return median(std::move(values));
  }
};

/// One program in one way of sending, on a cable of its own.
struct Contestant {
  const char* name;
  bool default_offloads;
  std::function<Result<std::unique_ptr<Sender>>(const Sender::Config&)> start;
  const char* directory;  ///< of the file
  std::vector<Cell> cells;
  std::optional<Cable> cable;
  std::unique_ptr<Sender> sender;  ///< goes first
};

/// What nginx serves is rewritten in the file itself, and the engine would load that version: so
/// they have a file each.
constexpr const char* engine_directory = "engine";
constexpr const char* nginx_directory = "nginx";

std::vector<Contestant> contestants(const std::vector<int>& rewritten_percents) {
  std::vector<Contestant> all;
  const auto add = [&](const char* name, bool default_offloads, const char* directory, auto start) {
    Contestant& contestant =
        all.emplace_back(Contestant{name, default_offloads, start, directory, {}, {}, {}});
    for (const int percent : rewritten_percents) {
      if (!default_offloads || percent == rewritten_percents.front())
        contestant.cells.push_back({percent, {}});
    }
  };
  const auto strictsend_in = [](TxForm form) {
    return [form](const Sender::Config& config) { return start_strictsend(config, form); };
  };
  const auto nginx_with = [](bool sendfile) {
    return [sendfile](const Sender::Config& config) { return start_nginx(config, sendfile); };
  };
  add("nginx sendfile off", false, nginx_directory, nginx_with(false));
  add("nginx sendfile on", false, nginx_directory, nginx_with(true));
  add("strictsend fragments", false, engine_directory, strictsend_in(TxForm::fragments));
  add("strictsend linear", false, engine_directory, strictsend_in(TxForm::linear));
  add("nginx sendfile off", true, nginx_directory, nginx_with(false));
  add("nginx sendfile on", true, nginx_directory, nginx_with(true));
  return all;
}

class GoodputBench {
 public:
  GoodputBench(const Options& options, Interrupt& interrupt)
      : options_(options),
        directory_(options.directory),
        interrupt_(interrupt),
        contestants_(contestants(options.rewritten_percents)) {}

  Result<void> run();
  void print() const;

 private:
  [[nodiscard]] Result<void> make_file(const std::string& directory) const;
  Result<void> start(Contestant& contestant);
  Result<void> run_round(unsigned rate, unsigned round);
  void print_conditions() const;
  void print_rows(bool default_offloads) const;
  void print_details() const;
  [[nodiscard]] const Cell& base(int rewritten_percent) const;

  const Options options_;
  const test::TempDir directory_;
  Interrupt& interrupt_;
  std::vector<Contestant> contestants_;
};

Result<void> GoodputBench::make_file(const std::string& directory) const {
  constexpr std::size_t piece_bytes = 1 << 20;
  const std::string path = directory + "/" + Sender::file_name;
  if (::mkdir(directory.c_str(), 0700) != 0) return fail("making " + directory, errno);
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid()) return fail("making " + path, errno);
  const std::vector<std::byte> random = test::random_bytes(piece_bytes + page_bytes, 1);
  for (std::uint64_t at = 0; at < options_.file_bytes; at += piece_bytes) {
    // Another part of the same random bytes each time: no two pages of the file are alike.
    const std::uint64_t bytes = std::min<std::uint64_t>(piece_bytes, options_.file_bytes - at);
    const auto piece = std::span(random).subspan(at / piece_bytes % page_bytes, bytes);
    if (::write(fd.get(), piece.data(), piece.size()) != static_cast<ssize_t>(piece.size()))
      return fail("writing " + path, errno, "name a directory with room: --directory");
    if (interrupt_.asked()) return fail("writing " + path, ECANCELED);
  }
  return {};
}

/// Also fetches the file once, and compares it: that warms every view of it.
Result<void> GoodputBench::start(Contestant& contestant) {
  const bool defaults = contestant.default_offloads;
  auto cable = Cable::create(defaults, defaults || options_.checksum_offload);
  if (!cable) return tl::unexpected(std::move(cable.error()));
  contestant.cable.emplace(std::move(*cable));
  const test::NetNamespacePair::End& near = contestant.cable->net.near();
  const Sender::Config config{near.interface_name, near.address,
                              directory_.path(contestant.directory), options_.file_bytes};
  auto sender = contestant.start(config);
  if (!sender) return tl::unexpected(std::move(sender.error()));
  contestant.sender = std::move(*sender);
  return check_content(*contestant.cable, config.directory + "/" + Sender::file_name, interrupt_);
}

Result<void> GoodputBench::run() {
  for (const char* directory : {engine_directory, nginx_directory}) {
    if (auto made = make_file(directory_.path(directory)); !made) return made;
  }
  for (Contestant& contestant : contestants_) {
    if (auto started = start(contestant); !started) return started;
  }
  const auto rates = static_cast<unsigned>(options_.rewritten_percents.size());
  for (unsigned rate = 0; rate < rates; ++rate) {
    // A download begins with protecting what was written during the one before it. So the rounds of
    // one rate follow each other, and before the first of them is one that does not count.
    for (unsigned round = 0; round <= options_.rounds; ++round) {
      if (::isatty(STDERR_FILENO) != 0) {
        std::fprintf(stderr, "round %u of %u\r", rate * (options_.rounds + 1) + round + 1,
                     rates * (options_.rounds + 1));
      }
      if (auto done = run_round(rate, round); !done) return done;
    }
  }
  return {};
}

Result<void> GoodputBench::run_round(unsigned rate, unsigned round) {
  for (std::size_t i = 0; i < contestants_.size(); ++i) {
    // Each goes first in turn.
    Contestant& contestant = contestants_[(i + round) % contestants_.size()];
    if (rate >= contestant.cells.size()) continue;
    Cell& cell = contestant.cells[rate];
    auto done = download(*contestant.cable, *contestant.sender, cell.rewritten_percent / 100.0,
                         round, interrupt_);
    if (!done) return tl::unexpected(std::move(done.error()));
    if (round > 0) cell.rounds.push_back(*done);
  }
  return {};
}

const Cell& GoodputBench::base(int rewritten_percent) const {
  const std::vector<Cell>& cells = contestants_.front().cells;
  return *std::find_if(cells.begin(), cells.end(), [&](const Cell& cell) {
    return cell.rewritten_percent == rewritten_percent;
  });
}

std::string file_system_of(const std::string& path) {
  constexpr long tmpfs_magic = 0x01021994;  // TMPFS_MAGIC, statfs(2)
  struct statfs facts {};
  if (::statfs(path.c_str(), &facts) != 0) return "an unknown file system";
  return facts.f_type == tmpfs_magic ? "tmpfs" : "a disk's file system, cached";
}

bool is_virtual() {
  std::ifstream cpus("/proc/cpuinfo");
  for (std::string word; cpus >> word;) {
    if (word == "hypervisor") return true;  // among the first processor's flags
  }
  return false;
}

std::string first_line_of(const std::vector<std::string>& argv) {
  const std::string output = test::run_command(argv).output;
  return output.substr(0, output.find('\n'));
}

void GoodputBench::print_conditions() const {
  utsname system{};
  ::uname(&system);
  std::printf("one curl downloads a file of %s on %s, median of %u rounds\n",
              cli::format_size(static_cast<double>(options_.file_bytes)).c_str(),
              file_system_of(directory_.path()).c_str(), options_.rounds);
  std::printf("  system      Linux %s, %u cores%s\n", system.release,
              std::thread::hardware_concurrency(), is_virtual() ? ", a virtual machine" : "");
  std::printf("  network     veth pair, far end in a namespace, MTU 1500\n");
  std::printf("  offloads    TSO, GSO and GRO off at both ends, checksum offload %s at both ends\n",
              options_.checksum_offload ? "on (nobody sums)" : "off");
  std::printf(
      "              (inside, the kernel's TCP still cuts large segments late, by software;\n"
      "              frames per MiB, below, show what went over the cable)\n");
  // Without the offload the kernel copies pages that a file shares before it sums a packet, so that
  // the sum is that of the bytes (skb_checksum_help).
  std::printf(
      "  copies      nginx sendfile on: %s;\n"
      "              sendfile off: one, in read(2). strictsend fragments: the kernel makes\n"
      "              one (AF_XDP copy mode); linear: the engine one, the kernel another.\n"
      "              The receiver's copy to curl comes on top, alike for all.\n",
      options_.checksum_offload ? "none, curl's read(2) takes what the file's pages hold by then"
                                : "one, the kernel's before it sums");
  for (const Contestant& contestant : contestants_) {
    if (!contestant.sender->description().empty())
      std::printf("  %-20s %s\n", contestant.name, contestant.sender->description().c_str());
  }
  const std::string curl = first_line_of({"curl", "--version"});
  std::printf("  %s; %s\n\n", first_line_of({"nginx", "-v"}).c_str(),
              curl.substr(0, curl.find(" (")).c_str());
}

double mib_per_second(const Download& download, std::uint64_t bytes) {
  return static_cast<double>(bytes) / (1 << 20) / download.seconds;
}

void GoodputBench::print_rows(bool default_offloads) const {
  const double gib = static_cast<double>(options_.file_bytes) / (1 << 30);
  const double cores = std::thread::hardware_concurrency();
  const auto rate = [&](const Download& d) { return mib_per_second(d, options_.file_bytes); };
  const auto busy = [&](const Download& d) { return d.cpu.busy_seconds / gib; };
  const auto own = [&](const Download& d) { return d.cpu.own_seconds / gib; };
  const auto machine = [&](double seconds, const Download& d) {
    return 100 * seconds / d.elapsed_seconds / cores;
  };
  for (const Contestant& contestant : contestants_) {
    if (contestant.default_offloads != default_offloads) continue;
    for (const Cell& cell : contestant.cells) {
      const Cell& rival = base(cell.rewritten_percent);
      double low = rate(cell.rounds.front());
      double high = low;
      for (const Download& round : cell.rounds) {
        low = std::min(low, rate(round));
        high = std::max(high, rate(round));
      }
      std::printf("%-21s %4d %% %7.0f %6.0f %6.0f %6.2f %9.2f %5.0f %9.2f %6.2f %7.0f\n",
                  contestant.name, cell.rewritten_percent, cell.median_of(rate), low, high,
                  cell.median_of(rate) / rival.median_of(rate), cell.median_of(busy),
                  cell.median_of([&](const Download& d) { return machine(d.cpu.busy_seconds, d); }),
                  cell.median_of(own), cell.median_of(own) / rival.median_of(own),
                  cell.median_of([&](const Download& d) {
                    return machine(d.cpu.busy_seconds - d.cpu.own_seconds, d);
                  }));
    }
  }
}

void GoodputBench::print_details() const {
  const double mib = static_cast<double>(options_.file_bytes) / (1 << 20);
  const double page_count = static_cast<double>(options_.file_bytes) / page_bytes;
  std::printf("\n%-21s %6s %10s %10s %9s %9s %10s %11s\n", "", "asked", "rewritten", "frames/MiB",
              "faults", "in place", "redirected", "retransmits");
  for (const Contestant& contestant : contestants_) {
    for (const Cell& cell : contestant.cells) {
      const auto count = [&](std::uint64_t Sender::Counters::*counter) {
        return cell.median_of(
            [&](const Download& d) { return static_cast<double>(d.counters.*counter); });
      };
      std::printf("%-21s %4d %% %8.2f %% %10.1f %9.0f %9.0f %10.0f %11.0f%s\n", contestant.name,
                  cell.rewritten_percent, cell.median_of([&](const Download& d) {
                    return 100 * d.pages_rewritten_second / page_count;
                  }),
                  cell.median_of([&](const Download& d) { return d.frames / mib; }),
                  count(&Sender::Counters::write_faults), count(&Sender::Counters::pages_preserved),
                  count(&Sender::Counters::pages_redirected),
                  count(&Sender::Counters::segments_retransmitted),
                  contestant.default_offloads ? "  (default offloads)" : "");
    }
  }
}

void GoodputBench::print() const {
  print_conditions();
  std::printf("%-21s %6s %7s %6s %6s %6s %9s %5s %9s %6s %7s\n", "", "", "goodput", "", "", "",
              "busy CPU", "", "own CPU", "", "others'");
  std::printf("%-21s %6s %7s %6s %6s %6s %9s %5s %9s %6s %7s\n", "equal offloads", "written",
              "MiB/s", "min", "max", "ratio", "s/GiB", "%", "s/GiB", "ratio", "%");
  print_rows(false);
  std::printf("for reference: the offloads that veth has by default (TSO, GSO, GRO)\n");
  print_rows(true);
  print_details();
}

int bench(int argc, char** argv) {
  const auto options = parse(argc, argv);
  if (!options) {
    std::fprintf(stderr, "goodput_bench: %s\n%s", options.error().c_str(), help_text);
    return 2;
  }
  if (options->help) {
    std::printf("%s", help_text);
    return EXIT_SUCCESS;
  }
  Interrupt interrupt;
  std::signal(SIGPIPE, SIG_IGN);
  // What fails comes as a Result; that rewritten pages are lost at the end is meant.
  spdlog::set_level(spdlog::level::critical);
  if (const auto reason = test::NetNamespacePair::unavailable()) {
    std::printf("skipped: %s\n", reason->c_str());
    return 77;
  }
  const auto failed = [&](const Error& error) {
    std::fprintf(stderr, "\ngoodput_bench: %s\n", error.message().c_str());
    // A Ctrl-C also ends the commands that it was waiting for.
    return interrupt.asked() ? Interrupt::exit_code : EXIT_FAILURE;
  };
  GoodputBench bench(*options, interrupt);
  if (auto done = bench.run(); !done) return failed(done.error());
  bench.print();
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace strictsend::bench

int main(int argc, char** argv) {
  try {
    return strictsend::bench::bench(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "goodput_bench: %s\n", error.what());
    return 1;
  }
}
