// SPDX-License-Identifier: Apache-2.0
#include "apps/doctor/report.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

namespace strictsend::doctor {
namespace {

const char* shown(Verdict verdict) {
  return verdict == Verdict::missing ? "MISSING" : name_of(verdict);
}

}  // namespace

std::string conclusion(const std::vector<Finding>& findings) {
  std::string counts;
  const auto count = [&](const char* what, auto condition) {
    const auto number = std::count_if(findings.begin(), findings.end(), condition);
    if (number > 0) counts += fmt::format("{}{} {}", counts.empty() ? "" : ", ", number, what);
  };
  count("missing that it needs", [](const Finding& f) { return f.stops_serve; });
  count("missing that it does without",
        [](const Finding& f) { return f.verdict == Verdict::missing && !f.stops_serve; });
  count("slow", [](const Finding& f) { return f.verdict == Verdict::slow; });
  return fmt::format("serve would{} start; of {} checks {}", stops_serve(findings) ? " not" : "",
                     findings.size(), counts.empty() ? "all are ok" : counts);
}

std::string to_text(const std::vector<Finding>& findings) {
  std::string text;
  const auto out = std::back_inserter(text);
  for (const Finding& finding : findings) {
    fmt::format_to(out, "{:<9}{:<19}{}\n", shown(finding.verdict), finding.name, finding.found);
    if (!finding.why.empty()) fmt::format_to(out, "{:9}why: {}\n", "", finding.why);
    if (!finding.fix.empty()) fmt::format_to(out, "{:9}fix: {}\n", "", finding.fix);
  }
  fmt::format_to(out, "\n{}\n", conclusion(findings));
  return text;
}

}  // namespace strictsend::doctor
