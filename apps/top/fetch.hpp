// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "apps/serve/statistics/server_status.hpp"
#include "apps/support/unique_fd.hpp"
#include <strictsend/result.hpp>

namespace strictsend::top {

/// One sample on its way from a server's statistics socket. Waits nowhere: poll(2) `fd` for reading
/// until `deadline`, and go on.
class Fetch {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  static Result<Fetch> begin(const std::string& path, TimePoint deadline);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] TimePoint deadline() const { return deadline_; }
  /// What came, or why nothing does; nullopt: not all of it is there yet.
  [[nodiscard]] std::optional<Result<statistics::ServerStatus>> go_on(TimePoint now);

 private:
  Fetch(app::UniqueFd fd, TimePoint deadline) : fd_(std::move(fd)), deadline_(deadline) {}

  app::UniqueFd fd_;
  TimePoint deadline_;
  std::string document_;
};

}  // namespace strictsend::top
