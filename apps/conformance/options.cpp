// SPDX-License-Identifier: Apache-2.0
#include "apps/conformance/options.hpp"

#include <algorithm>
#include <array>
#include <iterator>

#include <boost/program_options.hpp>
#include <fmt/format.h>

#include "apps/cli/address_options.hpp"
#include "apps/cli/option_reader.hpp"
#include "apps/conformance/messages.hpp"

namespace strictsend::conformance {
namespace {

namespace po = boost::program_options;
using cli::Parsed;

constexpr std::array both_ends{"peer", "port", "directory", "wait"};
constexpr std::array senders_alone{"nic",  "address",   "gateway", "vlan",  "queues", "mtu",
                                   "size", "downloads", "writers", "write", "cases"};

po::options_description described() {
  po::options_description options;
  auto add = options.add_options();
  add("help,h", "");
  for (const char* name : both_ends)
    add(name, po::value<std::string>(), "");
  for (const char* name : senders_alone)
    add(name, po::value<std::string>(), "");
  return options;
}

Parsed<std::uint64_t> parse_file_size(const std::string& text) {
  constexpr std::uint64_t least = 1 << 20;
  Parsed<std::uint64_t> bytes = cli::parse_size(text);
  if (bytes &&
      (*bytes % checker::Layout::page_bytes != 0 || *bytes < least || *bytes > file_bytes_max))
    return tl::unexpected(
        fmt::format("\"{}\" is no multiple of 4K from 1M to 64G; write for example 64M", text));
  return bytes;
}

Parsed<WriteWay> parse_way(const std::string& text) {
  if (text == "auto") return WriteWay::automatic;
  if (text == "mapping") return WriteWay::mapping;
  if (text == "api") return WriteWay::api;
  return tl::unexpected(
      fmt::format("\"{}\" is no way of writing; write mapping, api or auto", text));
}

Parsed<std::string> parse_directory(const std::string& text) {
  if (text.empty()) return tl::unexpected<std::string>("the path is empty");
  return text;
}

void read_senders(cli::OptionReader& reader, Options& options) {
  const auto within = [](std::uint64_t least, std::uint64_t most) {
    return [=](const std::string& text) { return cli::parse_number(text, least, most); };
  };
  const auto store = [](std::uint32_t& into) {
    return [&into](std::uint64_t value) { into = static_cast<std::uint32_t>(value); };
  };
  reader.option("nic", cli::parse_nic, [&](auto& v) { options.engine.nic = v; });
  cli::read_address_options(reader, options.engine);
  reader.option("queues", cli::parse_queues, store(options.engine.queues));
  reader.option("mtu", within(68, 65535), store(options.engine.mtu_bytes));
  reader.option("size", parse_file_size, [&](auto v) { options.file_bytes = v; });
  reader.option("downloads", within(1, downloads_max), store(options.downloads));
  reader.option("writers", within(1, writers_max), store(options.writers));
  reader.option("write", parse_way, [&](auto v) { options.write = v; });
  reader.option("cases", parse_cases, [&](auto& v) { options.cases = v; });
}

}  // namespace

Parsed<Options> parse_options(std::span<const std::string> arguments) {
  // What stands behind -- is not ours: DPDK's EAL reads it.
  const auto behind_options = std::find(arguments.begin(), arguments.end(), "--");
  const auto split = cli::split_options({arguments.begin(), behind_options}, described(),
                                        "every argument is an option and its value; the other "
                                        "end's address goes behind --peer");
  if (!split) return tl::unexpected(split.error());
  cli::OptionReader reader(*split);
  Options options;
  if (reader.given("help")) {
    options.help = true;
    return options;
  }
  options.sends = reader.given("nic");
  if (!options.sends) {
    for (const char* name : senders_alone) {
      if (reader.given(name))
        reader.complain(fmt::format(
            "--{} is the sender's, which --nic makes this; the receiver learns it from there",
            name));
    }
  }
  reader.require("peer", options.sends ? "name the receiver's address, for example --peer 10.0.0.2"
                                       : "name the sender's address, for example --peer 10.0.0.1 "
                                         "(and to be the sender, the port: --nic)");
  reader.option("peer", cli::parse_address, [&](auto& v) { options.peer = v; });
  reader.option(
      "port", [](const std::string& text) { return cli::parse_number(text, 1, 65535); },
      [&](auto v) { options.port = static_cast<std::uint16_t>(v); });
  reader.option("directory", parse_directory, [&](auto& v) { options.directory = v; });
  reader.option("wait", cli::parse_duration, [&](auto v) { options.wait = v; });
  read_senders(reader, options);
  if (!reader.complaint().empty()) return tl::unexpected(reader.complaint());
  auto for_eal = cli::eal_arguments({behind_options, arguments.end()}, options.engine.nic);
  if (!for_eal) return tl::unexpected(std::move(for_eal.error()));
  options.engine.nic_arguments = std::move(*for_eal);
  return options;
}

std::vector<std::string> option_names() {
  return cli::long_names(described());
}

}  // namespace strictsend::conformance
