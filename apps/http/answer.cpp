// SPDX-License-Identifier: Apache-2.0
#include "apps/http/answer.hpp"

#include <algorithm>
#include <utility>

#include "apps/http/date.hpp"
#include "apps/http/field.hpp"

namespace strictsend::http {

std::int64_t last_modified(const FileAttributes& attributes, std::int64_t now_unix_seconds) {
  return std::min(seconds_of(attributes.mtime_ns), now_unix_seconds);
}

Answer decide(const Selection& selection, const FileAttributes& attributes,
              std::int64_t now_unix_seconds) {
  const Validators current{attributes.entity_tag, last_modified(attributes, now_unix_seconds)};
  switch (evaluate(selection.conditions, current, true, now_unix_seconds)) {
    case Verdict::not_modified:
      return {304, {}};
    case Verdict::precondition_failed:
      return {412, {}};
    case Verdict::perform:
      break;
  }
  if (!selection.is_get || !selection.range ||
      !range_counts(selection.conditions, current, now_unix_seconds))
    return {200, {}};
  RangeRequest range = understand_range(trimmed(*selection.range), attributes.size_bytes);
  switch (range.kind) {
    case RangeRequest::Kind::ranges:
      return {206, std::move(range.ranges)};
    case RangeRequest::Kind::unsatisfiable:
      return {416, {}};
    case RangeRequest::Kind::whole:
      break;
  }
  return {200, {}};
}

}  // namespace strictsend::http
