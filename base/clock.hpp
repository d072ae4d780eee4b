// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <limits>

namespace strictsend {

/// A span of time in nanoseconds. A type of its own, so that it is never added to a byte count.
struct Duration {
  std::int64_t ns = 0;
  constexpr auto operator<=>(const Duration&) const = default;
};

constexpr Duration nanoseconds(std::int64_t n) {
  return Duration{n};
}
constexpr Duration microseconds(std::int64_t n) {
  return Duration{n * 1'000};
}
constexpr Duration milliseconds(std::int64_t n) {
  return Duration{n * 1'000'000};
}
constexpr Duration seconds(std::int64_t n) {
  return Duration{n * 1'000'000'000};
}

constexpr Duration operator+(Duration a, Duration b) {
  return Duration{a.ns + b.ns};
}
constexpr Duration operator-(Duration a, Duration b) {
  return Duration{a.ns - b.ns};
}
constexpr Duration operator*(Duration a, std::int64_t k) {
  return Duration{a.ns * k};
}
constexpr Duration operator/(Duration a, std::int64_t k) {
  return Duration{a.ns / k};
}

/// An instant on a monotonic clock whose zero means nothing. Decisions take it as an argument; only
/// the edges (the poll loop, once per poll) read a real clock, and the simulations make it up.
struct Time {
  std::int64_t ns = 0;
  constexpr auto operator<=>(const Time&) const = default;

  static constexpr Time never() { return Time{std::numeric_limits<std::int64_t>::max()}; }
};

constexpr Time operator+(Time t, Duration d) {
  return Time{t.ns + d.ns};
}
constexpr Time operator-(Time t, Duration d) {
  return Time{t.ns - d.ns};
}
constexpr Duration operator-(Time a, Time b) {
  return Duration{a.ns - b.ns};
}

/// CLOCK_MONOTONIC now.
[[nodiscard]] Time monotonic_now();

}  // namespace strictsend
