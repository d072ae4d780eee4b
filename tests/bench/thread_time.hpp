// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <time.h>

namespace strictsend::bench {

/// The calling thread's processor time.
inline double thread_cpu_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

}  // namespace strictsend::bench
