// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/statistics/prometheus_text.hpp"

#include <utility>

#include <fmt/format.h>

#include "apps/serve/statistics/table.hpp"

namespace strictsend::statistics {
namespace {

using Labels = std::vector<std::pair<std::string_view, std::string>>;

/// A label's value: what would end it is escaped, and what is no ASCII replaced, because the format
/// is UTF-8 and names of interfaces may be any bytes.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '\n')
      result += "\\n";
    else if (c == '\\' || c == '"')
      (result += '\\') += c;
    else
      result += c < 0x20 || c > 0x7e ? '?' : c;
  }
  return result;
}

void put_head(std::string& out, std::string_view name, std::string_view kind,
              std::string_view help) {
  out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, kind);
}

void put_sample(std::string& out, std::string_view name, const Labels& labels,
                const std::string& value) {
  out += name;
  for (std::size_t i = 0; i < labels.size(); ++i)
    out +=
        fmt::format("{}{}=\"{}\"", i == 0 ? '{' : ',', labels[i].first, escaped(labels[i].second));
  if (!labels.empty()) out += '}';
  out += fmt::format(" {}\n", value);
}

/// Whole numbers as such: a float of 64 bits would lose digits of the large ones here already.
std::string in_base_units(std::uint64_t value, Unit unit) {
  if (unit == Unit::nanoseconds)
    return fmt::format("{}.{:09}", value / 1'000'000'000, value % 1'000'000'000);
  return fmt::format("{}", unit == Unit::frames ? value * frame_bytes : value);
}

Labels labels_of(const PortFacts& port) {
  Labels labels;
  for (const auto& [name, fact] : facts(port))
    labels.emplace_back(
        name, std::visit([](const auto& value) { return fmt::format("{}", value); }, fact));
  return labels;
}

}  // namespace

std::string to_prometheus(const ServerStatus& status) {
  std::string out;
  put_head(out, "strictsend_build_info", "gauge", "Which strictsend this is.");
  put_sample(out, "strictsend_build_info", {{"version", status.version}}, "1");
  put_head(out, "strictsend_port_info", "gauge", "What the NIC port is and what of it is in use.");
  put_sample(out, "strictsend_port_info", labels_of(status.port), "1");
  for (const Family& family : families(status)) {
    const std::string name = prometheus_name(family);
    put_head(out, name, family.kind == Kind::counter ? "counter" : "gauge", family.help);
    for (const Sample& sample : family.samples)
      put_sample(out, name, sample.labels, in_base_units(sample.value, family.unit));
  }
  return out;
}

}  // namespace strictsend::statistics
