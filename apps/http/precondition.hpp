// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace strictsend::http {

/// The fields that make a request conditional (RFC 9110 §13.1), as they came; a list that was sent
/// in several lines is joined by commas (§5.3).
struct Conditions {
  std::optional<std::string> if_match;
  std::optional<std::string> if_none_match;
  std::optional<std::string> if_modified_since;
  std::optional<std::string> if_unmodified_since;
  std::optional<std::string> if_range;
  /// Whether a server has anything to evaluate; If-Range is for Range alone.
  [[nodiscard]] bool any() const {
    return if_match || if_none_match || if_modified_since || if_unmodified_since;
  }
};

/// The validators of a current representation (RFC 9110 §8.8): the entity tag, strong and without
/// quotes, and the time of Last-Modified.
struct Validators {
  std::string_view entity_tag;
  std::int64_t last_modified = 0;
};

enum class Verdict : std::uint8_t {
  perform,              ///< the request as if it had no conditions
  not_modified,         ///< 304, GET and HEAD only
  precondition_failed,  ///< 412
};

/// Evaluates the conditions in the order of RFC 9110 §13.2.2. `current` is nothing where the target
/// has no representation; `safe` says that the method is GET or HEAD. A date that is none, and any
/// date where there is an entity tag to go by, counts as absent.
[[nodiscard]] Verdict evaluate(const Conditions& conditions,
                               const std::optional<Validators>& current, bool safe,
                               std::int64_t now_unix_seconds);

/// Whether a Range field counts (RFC 9110 §13.1.5): there is no If-Range, or it names the current
/// representation, by its entity tag or by exactly its modification time, if that is so long ago
/// that no second version can have the same.
[[nodiscard]] bool range_counts(const Conditions& conditions, const Validators& current,
                                std::int64_t now_unix_seconds);

}  // namespace strictsend::http
