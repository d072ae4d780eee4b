// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace strictsend::test {

// What proc(5) tells about processes.

/// The processes of a session, zombies included.
[[nodiscard]] std::vector<pid_t> processes_of_session(pid_t session);

/// Physical memory of one process. Every page counts once, however often it is mapped: an arena
/// that has three views is there only once, while an RSS counts it three times.
struct ProcessMemory {
  std::uint64_t private_bytes = 0;  ///< stacks, heaps and the like (`Pss_Anon`)
  std::uint64_t shared_bytes = 0;   ///< memfds and other shared memory (`Pss_Shmem`)
  [[nodiscard]] std::uint64_t total_bytes() const { return private_bytes + shared_bytes; }
};

/// As it is now; zeros when the process is gone.
[[nodiscard]] ProcessMemory memory_of(pid_t pid);

/// Processor time of this process's engine threads. Kernel work that they do in a kick counts.
[[nodiscard]] double engine_threads_seconds();

}  // namespace strictsend::test
