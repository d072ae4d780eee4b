// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "apps/serve/statistics/server_status.hpp"

namespace strictsend::top {

struct Size {
  std::size_t columns = 100;
  std::size_t lines = 1000;
};

/// What is shown of a server: lines of printable ASCII, none longer than `size.columns`, and no
/// more than `size.lines`; where not all fit, the last one says how many are missing.
///
/// Rates are those between the two samples, which were taken `seconds` apart. With no `previous`,
/// or of another life of the server, there are none yet, and "-" stands in their place.
[[nodiscard]] std::vector<std::string> view(const statistics::ServerStatus* previous,
                                            const statistics::ServerStatus& current, double seconds,
                                            Size size);

/// Whether the second sample is of the same life of a server as the first, and not older.
[[nodiscard]] bool follows(const statistics::ServerStatus& previous,
                           const statistics::ServerStatus& current);

/// "999", "1.23k", "45.6M": three digits.
[[nodiscard]] std::string format_count(double number);
/// "12 s", "3 m 05 s", "2 h 07 m", "5 d 03 h".
[[nodiscard]] std::string format_duration(std::uint64_t seconds);

}  // namespace strictsend::top
