// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "apps/doctor/report.hpp"

namespace strictsend::doctor {
std::string to_json(const std::vector<Finding>& findings) {
  nlohmann::ordered_json checks = nlohmann::ordered_json::array();
  for (const Finding& finding : findings)
    checks.push_back({{"name", finding.name},
                      {"verdict", name_of(finding.verdict)},
                      {"found", finding.found},
                      {"why", finding.why},
                      {"fix", finding.fix},
                      {"stops_serve", finding.stops_serve}});
  const nlohmann::ordered_json report = {{"serve_would_start", !stops_serve(findings)},
                                         {"summary", conclusion(findings)},
                                         {"checks", std::move(checks)}};
  // Names of interfaces and messages may be any bytes.
  return report.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace strictsend::doctor
