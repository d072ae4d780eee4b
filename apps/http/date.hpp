// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace strictsend::http {

/// "Sun, 06 Nov 1994 08:49:37 GMT": an IMF-fixdate (RFC 9110 §5.6.7), whatever the locale. Times
/// outside the years 1970 to 9999, which the format cannot hold, are moved to the nearest end.
[[nodiscard]] std::string format_date(std::int64_t unix_seconds);

/// The time that an HTTP-date names in any of its three formats (RFC 9110 §5.6.7); nothing where
/// it is none: other formats and time zones, and days and hours that there are not. The name of
/// the day is not held against the date. `now_unix_seconds` is for RFC 850's two-digit years, which
/// are never more than 50 years ahead.
[[nodiscard]] std::optional<std::int64_t> parse_date(std::string_view text,
                                                     std::int64_t now_unix_seconds);

/// Whole seconds of a file's time, rounded down also before 1970: what an HTTP-date can tell.
[[nodiscard]] std::int64_t seconds_of(std::int64_t ns);

}  // namespace strictsend::http
