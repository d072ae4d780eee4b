// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <pthread.h>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "base/result.hpp"

namespace strictsend {

/// A named thread, or why there is none: std::thread throws where the system has no room for it.
/// `name` has at most 15 characters.
template <class Body>
Result<std::thread> start_thread(const char* name, Body&& body) {
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
