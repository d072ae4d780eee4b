// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/option_table.hpp"

#include <array>

#include <fmt/format.h>

#include "apps/cli/config_file.hpp"

namespace strictsend::serve {

namespace po = boost::program_options;

namespace {

using Kind = OptionRow::Kind;

constexpr std::array rows{
    OptionRow{"nic", Kind::value, "", "required"},
    OptionRow{"root", Kind::value, "", "required"},
    OptionRow{"port", Kind::value, "80"},
    OptionRow{"listing", Kind::flag, "no"},
    OptionRow{"allow-put", Kind::flag, "no"},
    OptionRow{"put-limit", Kind::value, "1G"},
    OptionRow{"address", Kind::value, "", "the interface's own"},
    OptionRow{"gateway", Kind::value, "", "none"},
    OptionRow{"vlan", Kind::value, "", "none"},
    OptionRow{"queues", Kind::value, "auto"},
    OptionRow{"mtu", Kind::value, "", "as the device is"},
    OptionRow{"cache", Kind::value, "1G"},
    OptionRow{"preserved-limit", Kind::value, "", "the spare pages and half of the others"},
    OptionRow{"preserved-per-connection", Kind::value, "", "half of preserved-limit"},
    OptionRow{"tx", Kind::value, "auto"},
    OptionRow{"offloads", Kind::value, "all"},
    OptionRow{"congestion", Kind::value, "cubic"},
    OptionRow{"ecn", Kind::value, "on"},
    OptionRow{"pacing", Kind::value, "on"},
    OptionRow{"max-connections", Kind::value, "4096"},
    OptionRow{"idle-timeout", Kind::value, "60s"},
    OptionRow{"request-timeout", Kind::value, "10s"},
    OptionRow{"drain-timeout", Kind::value, "10s"},
    OptionRow{"user", Kind::value, "", "stays who it is"},
    OptionRow{"group", Kind::value, "", "the user's own"},
    OptionRow{"access-log", Kind::value, "", "none"},
    OptionRow{"stats-socket", Kind::value, "", "none"},
    OptionRow{"metrics", Kind::value, "", "none"},
    OptionRow{"log-level", Kind::value, "warn"},
    OptionRow{"pcap", Kind::value, "", "none"},
    OptionRow{"eal-arguments", Kind::value, "", "none"},
    OptionRow{"config", Kind::once},
    OptionRow{"print-config", Kind::once},
    OptionRow{"help", Kind::once},
};

}  // namespace

std::span<const OptionRow> option_table() {
  return rows;
}

po::options_description described_options() {
  po::options_description options;
  auto add = options.add_options();
  add("config", po::value<std::string>(), "");
  add("print-config", "");
  add("help,h", "");
  for (const OptionRow& row : rows) {
    if (row.kind == Kind::value) add(row.name, po::value<std::string>(), "");
    if (row.kind == Kind::flag) add(row.name, po::value<std::string>()->implicit_value("yes"), "");
  }
  return options;
}

cli::Parsed<std::string> written_configuration(const po::variables_map& values) {
  std::string text =
      "# The configuration of strictsend serve. Lines that begin with # are defaults.\n";
  for (const OptionRow& row : rows) {
    if (row.kind == Kind::once) continue;
    const auto given = values.find(row.name);
    if (given == values.end()) {
      text += *row.usual != '\0' ? fmt::format("# {} = {}\n", row.name, row.usual)
                                 : fmt::format("# {}: {}\n", row.name, row.otherwise);
      continue;
    }
    const auto line = cli::config_line(row.name, given->second.as<std::string>());
    if (!line) return tl::unexpected(line.error());
    text += *line + '\n';
  }
  return text;
}

}  // namespace strictsend::serve
