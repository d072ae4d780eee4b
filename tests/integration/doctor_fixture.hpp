// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/support/netns.hpp"

namespace strictsend::test {

using Words = std::vector<std::string>;

/// Somebody who may do nothing.
inline const Words as_nobody{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"};

inline Words operator+(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

/// What `strictsend doctor --json` said.
struct Diagnosis {
  CommandResult result;
  nlohmann::json report;

  struct Check {
    std::string verdict;
    std::string found;
    std::string fix;
    bool stops_serve = false;
  };
  [[nodiscard]] Check check(const std::string& name) const {
    for (const auto& each : report["checks"])
      if (each["name"] == name)
        return {each["verdict"], each["found"], each["fix"], each["stops_serve"]};
    ADD_FAILURE() << "no check " << name << " in " << result.output;
    return {};
  }
};

/// `command` runs the program; doctor and its options follow.
inline Diagnosis diagnosis_by(const Words& command, const Words& options) {
  Diagnosis diagnosis{run_command(command + Words{"doctor", "--json"} + options), {}};
  diagnosis.report = nlohmann::json::parse(diagnosis.result.output, nullptr, false);
  EXPECT_TRUE(diagnosis.report.is_object()) << diagnosis.result.output;
  if (!diagnosis.report.is_object()) diagnosis.report = {{"checks", nlohmann::json::array()}};
  return diagnosis;
}
inline Diagnosis diagnose(const Words& options, const Words& prefix = {}) {
  return diagnosis_by(prefix + Words{STRICTSEND_PROGRAM}, options);
}

/// Runs a fix as root would.
inline void run_fix(const std::string& fix) {
  ASSERT_NE(fix, "");
  const CommandResult result = run_command({"sh", "-c", fix});
  ASSERT_EQ(result.exit_code, 0) << fix << ": " << result.output;
}

/// A fix that begins with sudo, as root gives it.
inline std::string without_sudo(const std::string& fix) {
  return fix.starts_with("sudo ") ? fix.substr(5) : fix;
}

/// Why the program cannot be run as nobody; empty: it can.
inline std::string no_nobody() {
  const CommandResult result = run_command(as_nobody + Words{STRICTSEND_PROGRAM, "--version"});
  return result.exit_code == 0 ? "" : "nobody cannot run the program here: " + result.output;
}

}  // namespace strictsend::test
