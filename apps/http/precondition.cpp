// SPDX-License-Identifier: Apache-2.0
#include "apps/http/precondition.hpp"

#include "apps/http/date.hpp"
#include "apps/http/field.hpp"

namespace strictsend::http {
namespace {

enum class Comparison : std::uint8_t { strong, weak };

/// Whether a list of entity tags has the current one (RFC 9110 §8.8.3.2), which is strong. A list
/// that goes wrong somewhere has what stands before that.
bool list_has(std::string_view list, std::string_view current, Comparison comparison) {
  while (true) {
    list = trimmed(list);
    while (list.starts_with(',')) {  // empty elements are allowed (§5.6.1)
      list.remove_prefix(1);
      list = trimmed(list);
    }
    const bool weak = list.starts_with("W/");
    if (weak) list.remove_prefix(2);
    if (!list.starts_with('"')) return false;
    const std::size_t end = list.find('"', 1);
    if (end == std::string_view::npos) return false;
    const bool may_match = !weak || comparison == Comparison::weak;
    if (may_match && list.substr(1, end - 1) == current) return true;
    list.remove_prefix(end + 1);
  }
}

/// Whether "*" or a list of entity tags names the current representation.
bool names(std::string_view field, const std::optional<Validators>& current,
           Comparison comparison) {
  if (!current) return false;
  return trimmed(field) == "*" || list_has(field, current->entity_tag, comparison);
}

std::optional<std::int64_t> date_in(const std::optional<std::string>& field,
                                    std::int64_t now_unix_seconds) {
  return field ? parse_date(trimmed(*field), now_unix_seconds) : std::nullopt;
}

}  // namespace

Verdict evaluate(const Conditions& conditions, const std::optional<Validators>& current, bool safe,
                 std::int64_t now_unix_seconds) {
  if (conditions.if_match) {
    if (!names(*conditions.if_match, current, Comparison::strong))
      return Verdict::precondition_failed;
  } else if (const auto date = date_in(conditions.if_unmodified_since, now_unix_seconds)) {
    if (!current || current->last_modified > *date) return Verdict::precondition_failed;
  }
  if (conditions.if_none_match) {
    if (names(*conditions.if_none_match, current, Comparison::weak))
      return safe ? Verdict::not_modified : Verdict::precondition_failed;
  } else if (const auto date = date_in(conditions.if_modified_since, now_unix_seconds);
             date && safe && current) {
    if (current->last_modified <= *date) return Verdict::not_modified;
  }
  return Verdict::perform;
}

bool range_counts(const Conditions& conditions, const Validators& current,
                  std::int64_t now_unix_seconds) {
  if (!conditions.if_range) return true;
  const std::string_view field = trimmed(*conditions.if_range);
  if (field.ends_with('"'))
    return field.size() >= 2 && field.front() == '"' &&
           field.substr(1, field.size() - 2) == current.entity_tag;
  // RFC 9110 §8.8.2.2: only a time that was over when it was told is a strong validator.
  return parse_date(field, now_unix_seconds) == current.last_modified &&
         current.last_modified < now_unix_seconds;
}

}  // namespace strictsend::http
