// SPDX-License-Identifier: Apache-2.0
#include "apps/http/date.hpp"

#include <algorithm>
#include <array>
#include <time.h>

#include <fmt/format.h>

namespace strictsend::http {
namespace {

constexpr std::array day_names{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array month_names{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::int64_t last_second_of_9999 = 253'402'300'799;

}  // namespace

std::string format_date(std::int64_t unix_seconds) {
  const time_t seconds = std::clamp<std::int64_t>(unix_seconds, 0, last_second_of_9999);
  tm t{};
  ::gmtime_r(&seconds, &t);
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
                     day_names.at(static_cast<std::size_t>(t.tm_wday)), t.tm_mday,
                     month_names.at(static_cast<std::size_t>(t.tm_mon)), t.tm_year + 1900,
                     t.tm_hour, t.tm_min, t.tm_sec);
}

}  // namespace strictsend::http
