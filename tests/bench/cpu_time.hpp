// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <vector>

namespace strictsend::bench {

/// Processor time up to an instant, in two ways; differences are what means something.
///
/// `busy` is what the machine did: everything in /proc/stat but idle, iowait and steal, so with
/// soft and hard interrupts, and with whatever else ran. It is sampled by the kernel's tick.
/// `own` is what was run here for the measurement: this process, its children that have ended,
/// `others`, and the kernel's threads that run network interrupts when there is too much for them
/// (ksoftirqd). It is exact to the nanosecond and free of other load, but for interrupts that hit
/// others' threads or the other way round: the kernel charges them to the thread they interrupt.
struct CpuTime {
  double busy_seconds = 0;
  double own_seconds = 0;

  static CpuTime now(const std::vector<pid_t>& others);
};

inline CpuTime operator-(const CpuTime& a, const CpuTime& b) {
  return {a.busy_seconds - b.busy_seconds, a.own_seconds - b.own_seconds};
}

/// A process's children that run now.
[[nodiscard]] std::vector<pid_t> children_of(pid_t process);

}  // namespace strictsend::bench
