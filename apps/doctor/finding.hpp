// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace strictsend::doctor {

enum class Verdict : std::uint8_t {
  ok,
  slow,     ///< it works, but costs time or does less than it could
  missing,  ///< something does not work
};

[[nodiscard]] constexpr const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::ok:
      return "ok";
    case Verdict::slow:
      return "slow";
    case Verdict::missing:
      break;
  }
  return "missing";
}

/// What one check came to.
struct Finding {
  std::string name;
  Verdict verdict = Verdict::ok;
  std::string found;
  std::string why;           ///< it matters; empty: it is ok
  std::string fix;           ///< a shell command; empty: it is ok, or no command mends it
  bool stops_serve = false;  ///< of what is missing: `strictsend serve` does not start
};

inline Finding ok(std::string name, std::string found) {
  return {std::move(name), Verdict::ok, std::move(found), {}, {}, false};
}
inline Finding slow(std::string name, std::string found, std::string why, std::string fix) {
  return {std::move(name), Verdict::slow, std::move(found), std::move(why), std::move(fix), false};
}
inline Finding missing(std::string name, std::string found, std::string why, std::string fix) {
  return {std::move(name), Verdict::missing, std::move(found),
          std::move(why),  std::move(fix),   true};
}
/// Missing, and `serve` does without.
inline Finding not_needed(Finding finding) {
  finding.stops_serve = false;
  return finding;
}

[[nodiscard]] inline bool stops_serve(const std::vector<Finding>& findings) {
  for (const Finding& finding : findings)
    if (finding.stops_serve) return true;
  return false;
}

}  // namespace strictsend::doctor
