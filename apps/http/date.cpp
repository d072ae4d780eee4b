// SPDX-License-Identifier: Apache-2.0
#include "apps/http/date.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <time.h>

#include <fmt/format.h>

namespace strictsend::http {
namespace {

constexpr std::array<std::string_view, 7> day_names{"Sun", "Mon", "Tue", "Wed",
                                                    "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 7> long_day_names{
    "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> month_names{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::int64_t last_second_of_9999 = 253'402'300'799;

tm calendar(std::int64_t unix_seconds) {
  const time_t seconds = unix_seconds;
  tm t{};
  ::gmtime_r(&seconds, &t);
  return t;
}

/// Takes a date apart from the left; what does not fit makes all of it wrong.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}

  void literal(std::string_view text) {
    if (rest_.starts_with(text))
      rest_.remove_prefix(text.size());
    else
      good_ = false;
  }
  /// Exactly so many digits.
  int number(std::size_t digits) {
    int value = 0;
    for (; digits > 0; --digits) {
      const char c = rest_.empty() ? '\0' : rest_.front();
      if (c < '0' || c > '9') {
        good_ = false;
        return 0;
      }
      value = value * 10 + (c - '0');
      rest_.remove_prefix(1);
    }
    return value;
  }
  /// Which of them comes; they are case-sensitive, as in the RFC's grammar.
  template <std::size_t n>
  unsigned one_of(const std::array<std::string_view, n>& names) {
    for (unsigned i = 0; i < n; ++i) {
      if (!rest_.starts_with(names[i])) continue;
      rest_.remove_prefix(names[i].size());
      return i;
    }
    good_ = false;
    return 0;
  }
  [[nodiscard]] bool next_is(char c) const { return rest_.starts_with(c); }
  [[nodiscard]] bool good() const { return good_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool good_ = true;
};

struct Moment {
  int year = 0;
  unsigned month = 0;  ///< 0 to 11
  int day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
};

void read_time(Scanner& in, Moment& m) {
  m.hour = in.number(2);
  in.literal(":");
  m.minute = in.number(2);
  in.literal(":");
  m.second = in.number(2);
}

std::optional<std::int64_t> seconds_at(const Moment& m) {
  using namespace std::chrono;
  const year_month_day date{year{m.year}, month{m.month + 1}, day{static_cast<unsigned>(m.day)}};
  // 60: a leap second, which Unix time takes for the next one.
  if (!date.ok() || m.hour > 23 || m.minute > 59 || m.second > 60) return std::nullopt;
  return std::int64_t{sys_days(date).time_since_epoch().count()} * 86'400 + m.hour * 3'600 +
         m.minute * 60 + m.second;
}

}  // namespace

std::string format_date(std::int64_t unix_seconds) {
  const tm t = calendar(std::clamp<std::int64_t>(unix_seconds, 0, last_second_of_9999));
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
                     day_names.at(static_cast<std::size_t>(t.tm_wday)), t.tm_mday,
                     month_names.at(static_cast<std::size_t>(t.tm_mon)), t.tm_year + 1900,
                     t.tm_hour, t.tm_min, t.tm_sec);
}

std::optional<std::int64_t> parse_date(std::string_view text, std::int64_t now_unix_seconds) {
  Moment m;
  const std::size_t comma = text.find(',');
  Scanner in(text);
  if (comma == std::string_view::npos) {  // "Sun Nov  6 08:49:37 1994"
    in.one_of(day_names);
    in.literal(" ");
    m.month = in.one_of(month_names);
    in.literal(" ");
    if (in.next_is(' ')) {
      in.literal(" ");
      m.day = in.number(1);
    } else {
      m.day = in.number(2);
    }
    in.literal(" ");
    read_time(in, m);
    in.literal(" ");
    m.year = in.number(4);
  } else if (comma == 3) {  // "Sun, 06 Nov 1994 08:49:37 GMT"
    in.one_of(day_names);
    in.literal(", ");
    m.day = in.number(2);
    in.literal(" ");
    m.month = in.one_of(month_names);
    in.literal(" ");
    m.year = in.number(4);
    in.literal(" ");
    read_time(in, m);
    in.literal(" GMT");
  } else {  // "Sunday, 06-Nov-94 08:49:37 GMT"
    in.one_of(long_day_names);
    in.literal(", ");
    m.day = in.number(2);
    in.literal("-");
    m.month = in.one_of(month_names);
    in.literal("-");
    const int this_year =
        calendar(std::clamp<std::int64_t>(now_unix_seconds, 0, last_second_of_9999)).tm_year + 1900;
    m.year = this_year - this_year % 100 + in.number(2);
    if (m.year > this_year + 50) m.year -= 100;
    in.literal(" ");
    read_time(in, m);
    in.literal(" GMT");
  }
  return in.good() ? seconds_at(m) : std::nullopt;
}

std::int64_t seconds_of(std::int64_t ns) {
  constexpr std::int64_t ns_per_s = 1'000'000'000;
  return ns / ns_per_s - (ns % ns_per_s < 0 ? 1 : 0);
}

}  // namespace strictsend::http
