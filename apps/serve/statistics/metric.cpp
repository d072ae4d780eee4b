// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/statistics/metric.hpp"

#include <fmt/format.h>

namespace strictsend::statistics {
namespace {

struct UnitNames {
  std::string_view in_name;  // one of the words of a name
  std::string_view base;     // Prometheus's last word
};

UnitNames names_of(Unit unit) {
  switch (unit) {
    case Unit::number:
      break;
    case Unit::bytes:
      return {"bytes", "bytes"};
    case Unit::nanoseconds:
      return {"ns", "seconds"};
    case Unit::frames:
      return {"frames", "bytes"};
  }
  return {};
}

/// The words of `name` but for the first that is `left_out`.
std::string without(std::string_view name, std::string_view left_out) {
  std::string rest;
  while (!name.empty()) {
    const std::size_t end = name.find('_');
    const std::string_view word = name.substr(0, end);
    name.remove_prefix(end == std::string_view::npos ? name.size() : end + 1);
    if (word == left_out) {
      left_out = {};
      continue;
    }
    rest += (rest.empty() ? "" : "_");
    rest += word;
  }
  return rest;
}

}  // namespace

std::string prometheus_name(const Family& family) {
  const UnitNames unit = names_of(family.unit);
  std::string name = "strictsend_";
  if (!family.name.starts_with(family.section)) name += fmt::format("{}_", family.section);
  name += without(family.name, unit.in_name);
  if (!unit.base.empty()) name += fmt::format("_{}", unit.base);
  if (family.kind == Kind::counter) name += "_total";
  return name;
}

}  // namespace strictsend::statistics
