// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>

namespace strictsend::http {

using TimePoint = std::chrono::steady_clock::time_point;

/// Where sessions get the time from, so that a test can make it up. Read by the thread that runs
/// the sessions.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual TimePoint now() const = 0;              ///< for time-outs
  [[nodiscard]] virtual std::int64_t unix_seconds() const = 0;  ///< for the Date field
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] TimePoint now() const override { return std::chrono::steady_clock::now(); }
  [[nodiscard]] std::int64_t unix_seconds() const override {
    return std::chrono::duration_cast<std::chrono::seconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }
};

}  // namespace strictsend::http
