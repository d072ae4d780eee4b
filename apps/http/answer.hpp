// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/http/precondition.hpp"
#include "apps/http/range.hpp"
#include <strictsend/file.hpp>

namespace strictsend::http {

/// What in a request decides which answer it gets of a file that is there.
struct Selection {
  bool is_get = true;  ///< else it is HEAD, for which ranges are not defined (RFC 9110 §14.2)
  Conditions conditions;
  std::optional<std::string> range;
};

/// The answer: 200 (the whole), 206 (`ranges`, one or more), 304, 412, or 416.
struct Answer {
  int status = 200;
  std::vector<ByteRange> ranges;
  bool operator==(const Answer&) const = default;
};

/// Decides by RFC 9110 §13.2.2 and §14.2. Pure: the same for the same arguments.
[[nodiscard]] Answer decide(const Selection& selection, const FileAttributes& attributes,
                            std::int64_t now_unix_seconds);

/// What Last-Modified says of a file: never later than now, for a modification time in the future
/// would make validators of other clocks (RFC 9110 §8.8.2.1).
[[nodiscard]] std::int64_t last_modified(const FileAttributes& attributes,
                                         std::int64_t now_unix_seconds);

}  // namespace strictsend::http
