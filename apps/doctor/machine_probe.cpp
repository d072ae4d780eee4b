// SPDX-License-Identifier: Apache-2.0
#include <linux/capability.h>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>
#include <unistd.h>

#include "apps/doctor/probes.hpp"
#include <strictsend/probe.hpp>

namespace strictsend::doctor {
namespace {

template <class Number>
Number number_in(const char* path, Number otherwise) {
  std::ifstream file(path);
  Number number{};
  return file >> number ? number : otherwise;
}

/// What stands behind `name` in a file of lines such as /proc/meminfo.
std::string word_after(const char* path, const std::string& name) {
  std::ifstream lines(path);
  std::string line;
  while (std::getline(lines, line)) {
    if (!line.starts_with(name)) continue;
    std::istringstream words(line.substr(name.size()));
    std::string word;
    words >> word;
    return word;
  }
  return {};
}

Capabilities capabilities() {
  std::uint64_t set = 0;
  std::istringstream(word_after("/proc/thread-self/status", "CapEff:")) >> std::hex >> set;
  constexpr int cap_perfmon = 38;  // Linux 5.8
  constexpr int cap_bpf = 39;
  const auto has = [&](int capability) { return (set >> capability & 1) != 0; };
  return {.net_admin = has(CAP_NET_ADMIN),
          .net_raw = has(CAP_NET_RAW),
          .bpf = has(cap_bpf),
          .perfmon = has(cap_perfmon),
          .sys_admin = has(CAP_SYS_ADMIN),
          .ipc_lock = has(CAP_IPC_LOCK)};
}

/// The word that shmem_enabled puts into brackets.
std::string shmem_huge_pages() {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
  std::string text;
  std::getline(file, text);
  const std::size_t begin = text.find('[');
  const std::size_t end = text.find(']');
  if (begin == std::string::npos || end == std::string::npos) return {};
  return text.substr(begin + 1, end - begin - 1);
}

template <class T>
Trial trial(const Result<T>& result) {
  if (result) return {};
  // Every error is one, whatever its number.
  const int number = result.error().errno_value;
  return {number != 0 ? number : -1, result.error().message()};
}

}  // namespace

MachineFacts probe_machine(const Options& options) {
  MachineFacts facts;
  utsname name{};
  ::uname(&name);
  facts.kernel_release = name.release;
  std::sscanf(name.release, "%u.%u", &facts.kernel.major, &facts.kernel.minor);
  facts.cache_bytes = options.cache_bytes;
  facts.queues = options.queues == 0 ? 1 : options.queues;
  std::uint64_t available_kib = std::numeric_limits<std::uint64_t>::max() >> 10;
  std::istringstream(word_after("/proc/meminfo", "MemAvailable:")) >> available_kib;
  facts.available_bytes = available_kib << 10;

  facts.capabilities = capabilities();
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) == 0) {
    if (limit.rlim_cur != RLIM_INFINITY) facts.lockable_bytes = limit.rlim_cur;
    if (limit.rlim_max != RLIM_INFINITY) facts.lockable_bytes_max = limit.rlim_max;
  }
  const Result<bool> mapping = probe_write_protection();
  facts.mapping = trial(mapping);
  facts.sees_kernel_faults = mapping.value_or(false);
  facts.shmem_huge_pages = shmem_huge_pages();
  facts.max_map_count = number_in<std::uint64_t>("/proc/sys/vm/max_map_count", 65530);
  facts.io_uring = trial(probe_file_loading());
  facts.io_uring_disabled = number_in("/proc/sys/kernel/io_uring_disabled", 0);
  struct statfs file_system {};
  facts.bpffs = ::statfs("/sys/fs/bpf", &file_system) == 0 &&
                static_cast<std::uint32_t>(file_system.f_type) == BPF_FS_MAGIC;

  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  facts.program = error ? "strictsend" : program.string();
  facts.nic = options.nic;
  facts.user = ::geteuid();
  facts.group = ::getegid();
  return facts;
}

}  // namespace strictsend::doctor
