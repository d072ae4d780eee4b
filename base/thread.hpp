// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pthread.h>
#include <signal.h>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "base/result.hpp"

namespace strictsend {

/// Blocks signals for the calling thread while it lives, so that a thread made meanwhile has them
/// blocked for good; but for those by which a thread tells what it did itself, and a profiler's.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t blocked;
    ::sigfillset(&blocked);
    for (const int kept : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF})
      ::sigdelset(&blocked, kept);
    ::pthread_sigmask(SIG_BLOCK, &blocked, &before_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

/// A named thread that signals leave alone, or why there is none: std::thread throws where the
/// system has no room for it. `name` has at most 15 characters.
template <class Body>
Result<std::thread> start_thread(const char* name, Body&& body) {
  // The application's handlers run on its own threads, and no signal cuts our system calls short.
  const SignalsBlocked signals_blocked;
  try {
    std::thread thread(std::forward<Body>(body));
    ::pthread_setname_np(thread.native_handle(), name);
    return thread;
  } catch (const std::system_error& error) {
    return fail(std::string("starting the thread ") + name, error.code().value(),
                "raise the limit on processes (ulimit -u, or pids.max of the cgroup)");
  }
}

}  // namespace strictsend
