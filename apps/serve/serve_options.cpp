// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/serve_options.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <iterator>
#include <limits>
#include <map>
#include <utility>

#include <boost/program_options.hpp>
#include <fmt/format.h>

#include "apps/cli/address_options.hpp"
#include "apps/cli/config_file.hpp"
#include "apps/cli/option_reader.hpp"
#include "apps/cli/values.hpp"
#include "apps/serve/connection.hpp"
#include "apps/serve/option_table.hpp"

namespace strictsend::serve {
namespace {

namespace po = boost::program_options;
using cli::Parsed;

/// So that the splices of all of them together are what an engine takes
/// (EngineConfig::max_splices).
constexpr auto connections_max = 1'000'000 / connection_splices_max;

Parsed<std::string> parse_level(const std::string& text) {
  constexpr std::array levels{"trace", "debug", "info", "warn", "error", "critical", "off"};
  if (std::find(levels.begin(), levels.end(), text) == levels.end())
    return tl::unexpected(
        fmt::format("\"{}\" is no level; write {}", text, fmt::join(levels, ", ")));
  return text;
}

Parsed<std::string> parse_path(const std::string& text) {
  if (text.empty()) return tl::unexpected<std::string>("the path is empty");
  return text;
}

Parsed<std::chrono::milliseconds> parse_timeout(const std::string& text) {
  Parsed<std::chrono::milliseconds> time = cli::parse_duration(text);
  if (time && time->count() == 0)
    return tl::unexpected(
        fmt::format("\"{}\" would end everything at once; write at least 1ms", text));
  return time;
}

/// The command line's options, and behind them those of the file that it names.
struct Given {
  po::variables_map values;
  std::map<std::string, std::string> places;
};

Parsed<Given> take_file(Given given, const po::options_description& options) {
  const std::string& path = given.values["config"].as<std::string>();
  std::vector<std::string> command_line_only;
  for (const OptionRow& row : option_table())
    if (row.kind == OptionRow::Kind::once) command_line_only.emplace_back(row.name);
  const Parsed<cli::ConfigFile> file = cli::read_config_file(path, options, command_line_only);
  if (!file) return tl::unexpected(file.error());
  for (const auto& [name, place] : file->places)
    if (!given.values.contains(name)) given.places.emplace(name, place);
  try {
    po::store(file->options, given.values);  // what is there already stays
  } catch (const po::error& error) {
    return tl::unexpected(fmt::format("{}: {}", path, error.what()));
  }
  return given;
}

/// What stands behind `--` goes for what --eal-arguments or the file says. Stored as one value, as
/// the file has it.
Parsed<void> read_eal_arguments(Given& given, std::span<const std::string> behind,
                                ServeOptions& options) {
  constexpr const char* name = "eal-arguments";
  if (!behind.empty()) {
    if (given.values.contains(name) && !given.places.contains(name))
      return tl::unexpected<std::string>(
          "--eal-arguments and -- are two ways to say the same; keep one");
    const std::string joined = cli::join_words({behind.begin() + 1, behind.end()});
    given.values.erase(name);
    given.values.emplace(name, po::variable_value(boost::any(joined), false));
    given.places.erase(name);
  }
  if (!given.values.contains(name)) return {};
  const Parsed<std::vector<std::string>> words =
      behind.empty() ? cli::split_words(given.values[name].as<std::string>())
                     : std::vector<std::string>(behind.begin() + 1, behind.end());
  if (!words || !options.engine.nic.starts_with("dpdk:")) {
    return tl::unexpected(
        !behind.empty()
            ? "what stands behind -- are arguments for DPDK, which --nic dpdk:PORT alone takes"
            : fmt::format("{}: {}", cli::place_of(name, given.places),
                          words ? "DPDK's, which the nic dpdk:PORT alone takes" : words.error()));
  }
  options.engine.nic_arguments = *words;
  return {};
}

}  // namespace

tl::expected<ServeOptions, std::string> parse_serve_options(
    std::span<const std::string> arguments) {
  // What stands behind -- is not ours: DPDK's EAL reads it.
  const auto behind_options = std::find(arguments.begin(), arguments.end(), "--");
  const po::options_description described = described_options();
  auto split = cli::split_options({arguments.begin(), behind_options}, described,
                                  "every argument is an option and its value; the directory goes "
                                  "behind --root");
  if (!split) return tl::unexpected(split.error());

  ServeOptions options;
  Parsed<Given> given(Given{std::move(*split), {}});
  if (given->values.contains("help")) {
    options.help = true;
    return options;
  }
  if (given->values.contains("config")) given = take_file(std::move(*given), described);
  if (!given) return tl::unexpected(given.error());
  cli::OptionReader reader(given->values, given->places);
  const auto within = [](std::uint64_t least, std::uint64_t most) {
    return [=](const std::string& text) { return cli::parse_number(text, least, most); };
  };
  reader.require("nic", "name the interface to send from, for example --nic af_xdp:eth0");
  reader.require("root", "name the directory to serve, for example --root /srv/files");
  reader.option("nic", cli::parse_nic, [&](auto& v) { options.engine.nic = v; });
  reader.option("root", parse_path, [&](auto& v) { options.server.root = v; });
  options.server.allow_put = reader.flag("allow-put");
  reader.option("put-limit", cli::parse_size,
                [&](auto v) { options.server.limits.put_bytes_max = v; });
  if (reader.given("put-limit") && !options.server.allow_put)
    reader.complain(reader.place_of("put-limit") + ": nothing is stored without --allow-put");
  options.server.store.listing = reader.flag("listing");
  reader.option("port", within(1, 65535),
                [&](auto v) { options.server.port = static_cast<std::uint16_t>(v); });
  cli::read_address_options(reader, options.engine);
  reader.option("queues", cli::parse_queues, [&](auto v) { options.engine.queues = v; });
  reader.option("cache", cli::parse_cache_size, [&](auto v) { options.engine.cache_bytes = v; });
  reader.option("preserved-limit", cli::parse_preserved_limit,
                [&](auto v) { options.engine.preserved_bytes_max = v; });
  reader.option("preserved-per-connection", cli::parse_preserved_limit,
                [&](auto v) { options.engine.preserved_bytes_per_connection_max = v; });
  reader.option("tx", cli::parse_tx_form, [&](auto v) { options.engine.tx_form = v; });
  reader.option("offloads", cli::parse_offloads, [&](auto& v) {
    options.engine.checksum_offload = v.checksum;
    options.engine.segmentation_offload = v.segmentation;
  });
  reader.option("congestion", cli::parse_congestion,
                [&](auto v) { options.engine.congestion = v; });
  reader.option("ecn", cli::parse_on_off, [&](auto v) { options.engine.ecn = v; });
  reader.option("pacing", cli::parse_on_off, [&](auto v) { options.engine.pacing = v; });
  reader.option("mtu", within(68, 65535),
                [&](auto v) { options.engine.mtu_bytes = static_cast<std::uint32_t>(v); });
  reader.option("max-connections", within(1, connections_max),
                [&](auto v) { options.engine.max_connections = static_cast<std::uint32_t>(v); });
  reader.option("idle-timeout", parse_timeout,
                [&](auto v) { options.server.limits.idle_timeout = v; });
  reader.option("request-timeout", parse_timeout,
                [&](auto v) { options.server.limits.request_timeout = v; });
  reader.option("drain-timeout", cli::parse_duration,
                [&](auto v) { options.server.drain_timeout = v; });
  const auto parse_name = [](const std::string& text) -> Parsed<std::string> {
    if (text.empty()) return tl::unexpected<std::string>("the name is empty");
    return text;
  };
  reader.option("user", parse_name, [&](auto& v) { options.user = v; });
  reader.option("group", parse_name, [&](auto& v) { options.group = v; });
  if (reader.given("group") && options.user.empty())
    reader.complain(reader.place_of("group") + ": it is the group of --user, which is missing");
  reader.option("access-log", parse_path, [&](auto& v) { options.access_log_path = v; });
  reader.option("stats-socket", parse_path, [&](auto& v) { options.stats_socket_path = v; });
  reader.option("metrics", statistics::parse_loopback_endpoint,
                [&](auto& v) { options.metrics = v; });
  reader.option("log-level", parse_level, [&](auto& v) { options.log_level = v; });
  reader.option("pcap", parse_path, [&](auto& v) { options.engine.pcap_path = v; });
  if (!reader.complaint().empty()) return tl::unexpected(reader.complaint());
  if (auto done = read_eal_arguments(*given, {behind_options, arguments.end()}, options); !done)
    return tl::unexpected(done.error());
  if (given->values.contains("print-config")) {
    Parsed<std::string> written = written_configuration(given->values);
    if (!written) return tl::unexpected(written.error());
    options.printed = std::move(*written);
  }
  // The engine resets what stands still; the session, which closes politely, goes first.
  const http::SessionLimits& limits = options.server.limits;
  options.engine.idle_timeout_ms =
      static_cast<std::uint32_t>((limits.idle_timeout + limits.linger_timeout).count());
  // One file does not drive all others out.
  options.engine.whole_file_bytes_max = options.engine.cache_bytes / 2;
  // As many as all connections together may submit: however many take nothing of what they asked
  // for, nobody else waits for a splice because of them.
  options.engine.max_splices =
      std::max(options.engine.max_splices,
               static_cast<std::uint32_t>(connection_splices_max) * options.engine.max_connections);
  return options;
}

std::vector<std::string> serve_option_names() {
  return cli::long_names(described_options());
}

}  // namespace strictsend::serve
