// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace strictsend::http {

/// "Sun, 06 Nov 1994 08:49:37 GMT": an IMF-fixdate (RFC 9110 §5.6.7), whatever the locale. Times
/// outside the years 1970 to 9999, which the format cannot hold, are moved to the nearest end.
[[nodiscard]] std::string format_date(std::int64_t unix_seconds);

}  // namespace strictsend::http
