// SPDX-License-Identifier: Apache-2.0
#include "apps/doctor/machine_checks.hpp"

#include <algorithm>
#include <cerrno>
#include <string_view>

#include <fmt/format.h>

#include "apps/cli/values.hpp"
#include "apps/doctor/kernel_versions.hpp"

namespace strictsend::doctor {
namespace {

bool on_af_xdp(const MachineFacts& facts) {
  return facts.nic.empty() || facts.nic.starts_with("af_xdp:");
}

std::string size(std::uint64_t bytes) {
  return cli::format_size(static_cast<double>(bytes));
}

/// How the program is started on this NIC.
std::string serve(const MachineFacts& facts) {
  return fmt::format("{} serve --nic {} …", facts.program,
                     facts.nic.empty() ? "af_xdp:IFACE" : facts.nic);
}

}  // namespace

std::uint64_t nic_memory_bytes(const MachineFacts& facts) {
  constexpr std::uint64_t each_queue = 12U << 20;
  return facts.cache_bytes + facts.queues * each_queue + 4096;
}

Finding check_kernel(const MachineFacts& facts) {
  const char* const name = "kernel";
  std::string found = "Linux " + facts.kernel_release;
  std::string fix = newer_kernel;
  if (on_af_xdp(facts) && facts.kernel < for_af_xdp)
    return missing(name, std::move(found), "AF_XDP as it is used here needs Linux 5.6",
                   std::move(fix));
  std::string lacks;
  const auto needs = [&](const KernelVersion& version, const char* what) {
    if (facts.kernel >= version) return;
    lacks += fmt::format("{}before {}.{} {}", lacks.empty() ? "" : "; ", version.major,
                         version.minor, what);
  };
  needs(for_mappings, "there are no writable mappings of files");
  if (on_af_xdp(facts)) {
    needs(for_fragments, "AF_XDP sends no packets of several pieces, so payload is copied");
    needs(for_checksums, "AF_XDP's checksums are computed in software");
  }
  if (lacks.empty()) return ok(name, std::move(found));
  return slow(name, std::move(found), std::move(lacks), std::move(fix));
}

Finding check_memory(const MachineFacts& facts) {
  const char* const name = "memory";
  const std::uint64_t needed = nic_memory_bytes(facts);
  std::string found =
      fmt::format("{} available, {} wanted", size(facts.available_bytes), size(needed));
  if (facts.available_bytes >= needed) return ok(name, std::move(found));
  constexpr std::uint64_t mib = 1 << 20;
  const std::uint64_t besides = needed - facts.cache_bytes;
  const std::uint64_t room = facts.available_bytes > besides ? facts.available_bytes - besides : 0;
  const std::uint64_t smaller = std::max<std::uint64_t>(room / mib * 3 / 4, 4);
  return missing(name, std::move(found), "the cache is taken at the start, all of it",
                 fmt::format("{} --cache {}M", serve(facts), smaller));
}

Finding check_locked_memory(const MachineFacts& facts) {
  const char* const name = "locked memory";
  const std::uint64_t needed = nic_memory_bytes(facts);
  if (!facts.locks_memory) return ok(name, "this port locks none");
  if (facts.capabilities.ipc_lock) return ok(name, "unlimited by CAP_IPC_LOCK");
  if (!facts.lockable_bytes) return ok(name, "RLIMIT_MEMLOCK is unlimited");
  std::string found = fmt::format("RLIMIT_MEMLOCK is {}, and the NIC needs {} locked",
                                  size(*facts.lockable_bytes), size(needed));
  if (*facts.lockable_bytes >= needed) return ok(name, std::move(found));
  const bool may_raise = facts.lockable_bytes_max.value_or(needed) >= needed;
  return missing(name, std::move(found), "pages that a NIC reads are locked into memory",
                 may_raise ? fmt::format("ulimit -S -l {}", (needed + 1023) / 1024)
                           : "sudo prlimit --pid $$ --memlock=unlimited:unlimited");
}

Finding check_userfaultfd(const MachineFacts& facts) {
  const char* const name = "userfaultfd";
  if (facts.mapping.errno_value == 0 && facts.sees_kernel_faults)
    return ok(name, "write protection works, in system calls too");
  if (facts.mapping.errno_value == 0)
    return slow(name, "write protection works, but not in system calls",
                "read(2) and the like into a file's mapping fail with EFAULT instead of waiting",
                "sysctl -w vm.unprivileged_userfaultfd=1");
  const bool too_old = facts.kernel < for_mappings;
  // The system call's last try needs no rights, so a refusal is a filter's.
  const std::string in_container =
      "docker run --security-opt seccomp=unconfined … " + facts.program;
  return not_needed(missing(
      name, facts.mapping.message,
      "there are no writable mappings; files can be written through the file API, and served",
      too_old                              ? std::string(newer_kernel)
      : facts.mapping.errno_value == EPERM ? in_container
                                           : std::string()));
}

Finding check_map_count(const MachineFacts& facts) {
  constexpr std::uint64_t enough = 65530;
  std::string found = fmt::format("vm.max_map_count is {}", facts.max_map_count);
  if (facts.max_map_count >= enough) return ok("mappings", std::move(found));
  return slow("mappings", std::move(found),
              "each page that is written while a descriptor is on it stands in mappings of its own "
              "for a while; where no more may be made its writer waits",
              fmt::format("sysctl -w vm.max_map_count={}", enough));
}

Finding check_shmem_huge_pages(const MachineFacts& facts) {
  const char* const name = "shmem huge pages";
  const std::string& word = facts.shmem_huge_pages;
  if (word.empty())
    return slow(name, "this kernel has none for shared memory",
                "the cache is read through many more entries of the TLB", "");
  std::string found = fmt::format("shmem_enabled is {}", word);
  if (word != "never" && word != "deny") return ok(name, std::move(found));
  return slow(name, std::move(found), "the cache is read through many more entries of the TLB",
              "echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled");
}

Finding check_io_uring(const MachineFacts& facts) {
  const char* const name = "io_uring";
  if (facts.io_uring.errno_value == 0) return ok(name, "can be set up");
  std::string fix;
  if (facts.io_uring_disabled != 0)
    fix = "sysctl -w kernel.io_uring_disabled=0";
  else if (facts.io_uring.errno_value == ENOMEM)
    fix = "sudo prlimit --pid $$ --memlock=unlimited:unlimited";
  else if (facts.io_uring.errno_value == EPERM || facts.io_uring.errno_value == ENOSYS)
    fix = "docker run --security-opt seccomp=unconfined … " + facts.program;
  return missing(name, facts.io_uring.message, "files are loaded through it", std::move(fix));
}

Finding check_capabilities(const MachineFacts& facts) {
  const char* const name = "capabilities";
  const Capabilities& have = facts.capabilities;
  std::string lacks;
  const auto needs = [&](bool has, const char* capability) {
    if (!has) lacks += fmt::format("{}{}", lacks.empty() ? "" : ", ", capability);
  };
  needs(have.net_admin, "CAP_NET_ADMIN");
  needs(have.net_raw, "CAP_NET_RAW");
  needs(have.bpf || have.sys_admin, "CAP_BPF");
  needs(have.perfmon || have.sys_admin, "CAP_PERFMON");
  if (lacks.empty() && have.sys_admin)
    return ok(name, "CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_ADMIN");
  constexpr std::string_view all = "+net_admin,+net_raw,+sys_admin,+ipc_lock,+sys_ptrace";
  // Root without them is in a container, which they were taken from.
  std::string fix =
      facts.user == 0
          ? "docker run --cap-add NET_ADMIN --cap-add NET_RAW --cap-add SYS_ADMIN --cap-add "
            "IPC_LOCK … " +
                serve(facts)
          : fmt::format(
                "sudo setpriv --reuid {} --regid {} --init-groups --inh-caps {} --ambient-caps {} "
                "{}",
                facts.user, facts.group, all, all, serve(facts));
  if (lacks.empty())
    return slow(name, "without CAP_SYS_ADMIN",
                "libxdp cannot take the XDP program off the interface at the end: it stays, and "
                "the next start is refused",
                std::move(fix));
  return missing(name, "without " + lacks,
                 "attaching an XDP program and opening AF_XDP sockets need them", std::move(fix));
}

Finding check_bpffs(const MachineFacts& facts) {
  if (facts.bpffs) return ok("bpffs", "mounted on /sys/fs/bpf");
  return slow("bpffs", "not mounted on /sys/fs/bpf",
              "without it no other XDP program can stand beside strictsend's on an interface",
              "mount -t bpf bpf /sys/fs/bpf");
}

std::vector<Finding> check_machine(const MachineFacts& facts) {
  std::vector<Finding> findings{check_kernel(facts),        check_memory(facts),
                                check_locked_memory(facts), check_userfaultfd(facts),
                                check_map_count(facts),     check_shmem_huge_pages(facts),
                                check_io_uring(facts)};
  if (on_af_xdp(facts)) {
    findings.push_back(check_capabilities(facts));
    findings.push_back(check_bpffs(facts));
  }
  return findings;
}

}  // namespace strictsend::doctor
