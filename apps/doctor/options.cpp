// SPDX-License-Identifier: Apache-2.0
#include "apps/doctor/options.hpp"

#include <algorithm>

#include <boost/program_options.hpp>

#include "apps/cli/address_options.hpp"
#include "apps/cli/option_reader.hpp"

namespace strictsend::doctor {
namespace {

namespace po = boost::program_options;

po::options_description described() {
  po::options_description options;
  auto add = options.add_options();
  add("help,h", "");
  add("json", "");
  for (const char* name : {"nic", "cache", "queues", "address", "gateway", "vlan"})
    add(name, po::value<std::string>(), "");
  return options;
}

}  // namespace

cli::Parsed<Options> parse_options(std::span<const std::string> arguments) {
  // What stands behind -- is not ours: DPDK's EAL would read it.
  const auto behind_options = std::find(arguments.begin(), arguments.end(), "--");
  const auto split =
      cli::split_options({arguments.begin(), behind_options}, described(),
                         "every argument is an option and its value; the device goes behind --nic");
  if (!split) return tl::unexpected(split.error());
  cli::OptionReader reader(*split);
  Options options;
  if (reader.given("help")) {
    options.help = true;
    return options;
  }
  options.json = reader.given("json");
  reader.option("nic", cli::parse_nic, [&](auto& v) { options.nic = v; });
  reader.option("cache", cli::parse_cache_size, [&](auto v) { options.cache_bytes = v; });
  reader.option("queues", cli::parse_queues, [&](auto v) { options.queues = v; });
  EngineConfig addresses;
  cli::read_address_options(reader, addresses);
  options.vlan_id = addresses.vlan_id;
  options.address_given = addresses.address || addresses.address6;
  if (!reader.complaint().empty()) return tl::unexpected(reader.complaint());
  auto for_eal = cli::eal_arguments({behind_options, arguments.end()}, options.nic);
  if (!for_eal) return tl::unexpected(std::move(for_eal.error()));
  options.eal_arguments = std::move(*for_eal);
  return options;
}

std::vector<std::string> option_names() {
  return cli::long_names(described());
}

}  // namespace strictsend::doctor
