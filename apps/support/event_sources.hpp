// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>

#include "apps/support/unique_fd.hpp"
#include <strictsend/result.hpp>

namespace strictsend::app {

/// A counter that wakes a poll(2). Any thread may signal it, a signal handler too; one thread
/// clears it.
class WakeUp {
 public:
  static Result<WakeUp> create();
  void signal() const noexcept;
  void clear() const noexcept;
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  explicit WakeUp(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

/// Readable every `period`, from one period after its making. One thread's.
class Ticker {
 public:
  static Result<Ticker> create(std::chrono::milliseconds period);
  void clear() const noexcept;
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  explicit Ticker(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

/// SIGINT, SIGTERM and SIGHUP as a descriptor, so that whoever is asked to stop can put the network
/// interface back first. Make it before any other thread: those inherit the blocked signals. They
/// stay blocked for the life of the process.
class StopSignals {
 public:
  static Result<StopSignals> create();
  /// Takes one signal off; its number, 0 when there is none.
  [[nodiscard]] int take() const noexcept;
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  explicit StopSignals(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

/// SIGUSR1 as a descriptor: the request to open log files again, because they were renamed. To be
/// made like StopSignals.
class ReopenSignal {
 public:
  static Result<ReopenSignal> create();
  /// Takes all that came; whether there was one.
  [[nodiscard]] bool take() const noexcept;
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  explicit ReopenSignal(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace strictsend::app
