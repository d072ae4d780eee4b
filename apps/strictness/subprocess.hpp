// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "apps/support/event_sources.hpp"
#include <strictsend/result.hpp>

namespace strictsend::strictness {

/// A running program, waited for once. Move-only; the destructor ends it (SIGTERM) and waits.
/// It has a process group of its own and blocks what a terminal sends: Ctrl-C is for this process
/// alone, which then ends the others in its own order. SIGTERM it takes, even if this process
/// blocks it.
class Subprocess {
 public:
  /// Starts argv[0], searched for in PATH, with this process's standard streams.
  static Result<Subprocess> start(const std::vector<std::string>& argv);
  Subprocess(Subprocess&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), name_(std::move(other.name_)) {}
  Subprocess& operator=(Subprocess&&) = delete;
  Subprocess(const Subprocess&) = delete;
  Subprocess& operator=(const Subprocess&) = delete;
  ~Subprocess();

  /// Waits for its end; an error if it did not exit with 0.
  Result<void> wait();
  /// Waits for its end; its exit status, an error if a signal ended it.
  Result<int> wait_for_status();
  /// Whether it has ended, without waiting; `wait` then returns at once.
  [[nodiscard]] bool ended() const;
  void terminate() const;

 private:
  Subprocess(pid_t pid, std::string name) : pid_(pid), name_(std::move(name)) {}
  pid_t pid_;
  std::string name_;
};

/// Waits until all of them have ended; ECANCELED when a signal comes before that.
Result<void> wait_until_ended(std::span<const Subprocess> processes,
                              const app::StopSignals& signals);

/// Starts and waits.
Result<void> run(const std::vector<std::string>& argv);

}  // namespace strictsend::strictness
