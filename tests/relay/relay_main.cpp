// SPDX-License-Identifier: Apache-2.0
// The relay as a program, for experiments by hand.
#include <array>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include <boost/program_options.hpp>
#include <fmt/format.h>

#include "apps/cli/values.hpp"
#include "tests/relay/relay.hpp"

namespace strictsend::relay {
namespace {

namespace po = boost::program_options;

constexpr const char* help_text =
    R"(relay - a wire between two interfaces that is slow, long and loses packets

  relay [OPTION]... INTERFACE INTERFACE

Every option holds for both directions; with there- or back- before its name (--back-loss 1) for the
way from the first to the second interface alone, or for the way back.

  --rate BITS           per second, of Ethernet frames: 50M, 1G (powers of 1000); default: no limit
  --delay TIME          one way: 10ms, 250us; default 0
  --queue SIZE          what may wait for the rate: 64K; more is dropped. Default: no limit
  --queue-packets N     likewise
  --loss PERCENT        of the packets, drawn: 0.1
  --reorder PERCENT     of the packets are late
  --reorder-delay TIME  by up to so much more
  --ecn SIZE            packets that can be marked are, when they find so much in the queue
  --seed N              of all that is drawn; default 1
  --help                this text

Needs root. The hosts at both ends must send packets of the wire's size, with their sums, and the
relay's own interfaces should have no address: ethtool -K IFACE tso off gso off gro off tx off;
ip address flush dev IFACE. Ctrl-C ends it, and prints what became of the packets.
)";

constexpr std::array<const char*, 8> link_options = {
    "rate", "delay", "queue", "queue-packets", "loss", "reorder", "reorder-delay", "ecn"};

/// A decimal number with what follows it.
struct Quantity {
  double value = 0;
  std::string unit;
};
std::optional<Quantity> parse_quantity(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (end == text.c_str() || !(value >= 0) || value > 1e15) return std::nullopt;
  return Quantity{value, end};
}

cli::Parsed<std::uint64_t> parse_rate(const std::string& text) {
  const auto quantity = parse_quantity(text);
  const std::string units = "kMG";
  double factor = 1;
  if (quantity && quantity->unit.size() == 1 && units.find(quantity->unit) != std::string::npos) {
    for (std::size_t i = 0; i <= units.find(quantity->unit); ++i)
      factor *= 1'000;
  } else if (!quantity || !quantity->unit.empty()) {
    return tl::unexpected("'" + text + "' is no rate; give bits per second, for example 50M");
  }
  return static_cast<std::uint64_t>(quantity->value * factor);
}

cli::Parsed<Duration> parse_time(const std::string& text) {
  const auto quantity = parse_quantity(text);
  for (const auto& [unit, ns] : {std::pair{"us", 1e3}, std::pair{"ms", 1e6}, std::pair{"s", 1e9}}) {
    if (quantity && quantity->unit == unit)
      return nanoseconds(static_cast<std::int64_t>(quantity->value * ns));
  }
  if (quantity && quantity->value == 0) return Duration{};
  return tl::unexpected("'" + text + "' is no time; give one such as 10ms or 250us");
}

cli::Parsed<std::uint32_t> parse_percent(const std::string& text) {
  const auto quantity = parse_quantity(text);
  if (!quantity || !(quantity->unit.empty() || quantity->unit == "%") || quantity->value > 100)
    return tl::unexpected("'" + text + "' is no percentage; give 0 to 100, for example 0.1");
  return static_cast<std::uint32_t>(std::lround(quantity->value * 10'000));
}

/// The sentence that says what is wrong; empty: nothing.
std::string set_option(LinkSetup& link, std::string_view name, const std::string& text) {
  const auto put = [](auto& field, const auto& parsed) {
    if (!parsed) return parsed.error();
    field = *parsed;
    return std::string();
  };
  if (name == "rate") return put(link.rate_bits_second, parse_rate(text));
  if (name == "delay") return put(link.delay, parse_time(text));
  if (name == "queue") return put(link.queue_bytes_max, cli::parse_size(text));
  if (name == "loss") return put(link.loss_ppm, parse_percent(text));
  if (name == "reorder") return put(link.reorder_ppm, parse_percent(text));
  if (name == "reorder-delay") return put(link.reorder_delay_max, parse_time(text));
  if (name == "ecn") return put(link.ecn_threshold_bytes, cli::parse_size(text));
  std::uint64_t packets = 0;
  std::string wrong = put(packets, cli::parse_number(text, 1, 1'000'000));
  link.queue_packets_max = static_cast<std::uint32_t>(packets);
  return wrong;
}

struct Options {
  RelaySetup setup;
  bool help = false;
};

cli::Parsed<Options> parse(int argc, char** argv) {
  const std::array<std::string, 3> prefixes = {"", "there-", "back-"};
  po::options_description description;
  auto add = description.add_options();
  for (const std::string& prefix : prefixes)
    for (const char* name : link_options)
      add((prefix + name).c_str(), po::value<std::string>());
  add("seed", po::value<std::string>())("help", "")("interface",
                                                    po::value<std::vector<std::string>>());
  po::variables_map given;
  try {
    po::store(po::command_line_parser(argc, argv)
                  .options(description)
                  .positional(po::positional_options_description().add("interface", 2))
                  .run(),
              given);
  } catch (const po::error& error) {
    return tl::unexpected(std::string(error.what()));
  }
  Options options;
  options.help = given.count("help") > 0;
  if (options.help) return options;
  // Those for both directions first: the others say something more special.
  for (std::size_t p = 0; p < prefixes.size(); ++p) {
    for (const char* name : link_options) {
      if (given.count(prefixes[p] + name) == 0) continue;
      const std::string text = given[prefixes[p] + name].as<std::string>();
      for (std::size_t way : {0U, 1U}) {
        if (p == 2 - way) continue;
        const std::string wrong = set_option(options.setup.links[way], name, text);
        if (!wrong.empty()) return tl::unexpected("--" + prefixes[p] + name + ": " + wrong);
      }
    }
  }
  if (given.count("seed") > 0) {
    const auto seed = cli::parse_number(given["seed"].as<std::string>(), 0, UINT64_MAX);
    if (!seed) return tl::unexpected("--seed: " + seed.error());
    options.setup.seed = *seed;
  }
  if (given.count("interface") == 0 ||
      given["interface"].as<std::vector<std::string>>().size() != 2)
    return tl::unexpected(std::string("give two interfaces"));
  const auto& names = given["interface"].as<std::vector<std::string>>();
  options.setup.interfaces = {names[0], names[1]};
  return options;
}

void print(const char* way, const DirectionCounters& counters) {
  const LinkCounters& link = counters.link;
  fmt::print(
      "{}: {} packets, {} bytes; forwarded {}, lost {}, overflowed {}, reordered {}, marked {}; at "
      "most {} bytes queued\n"
      "  late by more than 1 ms {} (at most {} us); unfit {}, missed {}, not sent {}, homeless {}\n",
      way, link.packets_offered, link.bytes_offered, counters.packets_forwarded, link.packets_lost,
      link.packets_overflowed, link.packets_reordered, link.packets_marked, link.queued_bytes_max,
      counters.packets_late, counters.lateness_max.ns / 1'000, counters.packets_unfit,
      counters.packets_missed, counters.packets_not_sent, counters.packets_homeless);
  if (counters.packets_unfit > 0)
    fmt::print(
        "  unfit: larger than on a wire or without a sum; ethtool -K IFACE tso off gso off "
        "gro off tx off at the ends\n");
}

int run(int argc, char** argv) {
  const auto options = parse(argc, argv);
  if (!options) {
    fmt::print(stderr, "relay: {}\n{}", options.error(), help_text);
    return 2;
  }
  if (options->help) {
    fmt::print("{}", help_text);
    return EXIT_SUCCESS;
  }
  // Before the relay's thread, which inherits them blocked.
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM, SIGHUP})
    ::sigaddset(&signals, number);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  auto relay = Relay::start(options->setup);
  if (!relay) {
    fmt::print(stderr, "relay: {}\n", relay.error().message());
    return EXIT_FAILURE;
  }
  fmt::print("relaying between {} and {}\n", options->setup.interfaces[0],
             options->setup.interfaces[1]);
  std::fflush(stdout);
  int number = 0;
  ::sigwait(&signals, &number);
  const Duration used = (*relay)->cpu_time();
  const std::array<DirectionCounters, 2> counters = (*relay)->stop();
  print("there", counters[0]);
  print("back", counters[1]);
  fmt::print("processor time {} ms\n", used.ns / 1'000'000);
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace strictsend::relay

int main(int argc, char** argv) {
  return strictsend::relay::run(argc, argv);
}
