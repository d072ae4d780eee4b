// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/cpu_time.hpp"

#include <sys/resource.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>

namespace strictsend::bench {
namespace {

namespace fs = std::filesystem;

double machine_seconds() {
  std::ifstream stat("/proc/stat");
  std::string cpu;
  double user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0;
  stat >> cpu >> user >> nice >> system >> idle >> iowait >> irq >> softirq;
  return (user + nice + system + irq + softirq) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

double seconds_of(int whose) {
  rusage usage{};
  ::getrusage(whose, &usage);
  return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

/// Of all its threads; 0 when it is gone.
double seconds_of_process(pid_t process) {
  double sum = 0;
  std::error_code error;
  for (const fs::directory_entry& task :
       fs::directory_iterator("/proc/" + std::to_string(process) + "/task", error)) {
    double running_ns = 0;
    std::ifstream(task.path() / "schedstat") >> running_ns;
    sum += running_ns / 1e9;
  }
  return sum;
}

std::vector<pid_t> find_ksoftirqd() {
  std::vector<pid_t> found;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename();
    pid_t process = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), process).ec != std::errc{})
      continue;
    std::string command;
    std::ifstream(entry.path() / "comm") >> command;
    if (command.starts_with("ksoftirqd/")) found.push_back(process);
  }
  return found;
}

}  // namespace

CpuTime CpuTime::now(const std::vector<pid_t>& others) {
  static const std::vector<pid_t> ksoftirqd = find_ksoftirqd();
  CpuTime time;
  time.busy_seconds = machine_seconds();
  time.own_seconds = seconds_of(RUSAGE_SELF) + seconds_of(RUSAGE_CHILDREN);
  for (const std::vector<pid_t>* processes : {&others, &ksoftirqd}) {
    for (const pid_t process : *processes)
      time.own_seconds += seconds_of_process(process);
  }
  return time;
}

std::vector<pid_t> children_of(pid_t process) {
  const std::string number = std::to_string(process);
  std::ifstream file("/proc/" + number + "/task/" + number + "/children");
  std::vector<pid_t> children;
  for (pid_t child = 0; file >> child;)
    children.push_back(child);
  return children;
}

}  // namespace strictsend::bench
