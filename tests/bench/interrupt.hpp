// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <csignal>
#include <ctime>

namespace strictsend::bench {

/// Ctrl-C as a question that a benchmark asks between two steps, so that its destructors take
/// namespaces, programs and files away. Make it before any thread: those inherit the blocked
/// signals (programs started through ChildProcess do not). Asked by one thread.
class Interrupt {
 public:
  /// What a shell reports of a program that SIGINT ended.
  static constexpr int exit_code = 130;

  Interrupt() {
    ::sigemptyset(&signals_);
    for (const int number : {SIGINT, SIGTERM, SIGHUP})
      ::sigaddset(&signals_, number);
    ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  }
  [[nodiscard]] bool asked() {
    constexpr timespec at_once{};
    if (::sigtimedwait(&signals_, nullptr, &at_once) > 0) asked_ = true;
    return asked_;
  }

 private:
  sigset_t signals_{};
  bool asked_ = false;
};

}  // namespace strictsend::bench
