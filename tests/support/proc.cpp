// SPDX-License-Identifier: Apache-2.0
#include "tests/support/proc.hpp"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace strictsend::test {

std::vector<pid_t> processes_of_session(pid_t session) {
  std::vector<pid_t> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    pid_t pid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ptr !=
        name.data() + name.size())
      continue;
    std::ifstream file(entry.path() / "stat");
    std::string line;
    if (!std::getline(file, line)) continue;  // it has just ended
    // The name stands in parentheses, and may hold blanks and parentheses itself.
    std::istringstream rest(line.substr(line.rfind(')') + 1));
    char state = 0;
    pid_t parent = 0;
    pid_t group = 0;
    pid_t its_session = 0;
    if (rest >> state >> parent >> group >> its_session && its_session == session)
      found.push_back(pid);
  }
  return found;
}

ProcessMemory memory_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/smaps_rollup");
  ProcessMemory memory;
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string name;
    std::uint64_t kib = 0;
    if (!(fields >> name >> kib)) continue;
    if (name == "Pss_Anon:") memory.private_bytes = kib << 10;
    if (name == "Pss_Shmem:") memory.shared_bytes = kib << 10;
  }
  return memory;
}

double engine_threads_seconds() {
  double ns = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::ifstream(task.path() / "comm") >> name;
    if (name != "strictsend-nic") continue;
    double running_ns = 0;
    std::ifstream(task.path() / "schedstat") >> running_ns;
    ns += running_ns;
  }
  return ns / 1e9;
}

}  // namespace strictsend::test
