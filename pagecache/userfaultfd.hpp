// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/userfaultfd.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

// Debian 12's <linux/userfaultfd.h> is of Linux 6.1; this one is of 6.4
// (include/uapi/linux/userfaultfd.h).
#ifndef UFFDIO_CONTINUE_MODE_WP
#define UFFDIO_CONTINUE_MODE_WP (static_cast<__u64>(1) << 1)
#endif

namespace strictsend::pagecache {

/// Owns one userfaultfd in message mode with write-protect and minor faults on shared memory
/// (ioctl_userfaultfd(2)). No event features: with them every ioctl may answer EAGAIN.
///
/// Made by the thread that sets the cache up; the calls may come from any thread (the kernel
/// serialises them by mmap_lock). None waits for anything but that lock. Those that can fail return
/// 0 or an errno; `address` and `bytes` are whole pages.
class Userfaultfd {
 public:
  /// Prefers a descriptor that also sees faults of system calls (needs CAP_SYS_PTRACE,
  /// /dev/userfaultfd or vm.unprivileged_userfaultfd=1) and falls back to UFFD_USER_MODE_ONLY.
  static Result<Userfaultfd> open();

  /// Gives all protection up: the kernel lets every writer go on. No other call may run meanwhile.
  void close() { fd_.reset(); }
  [[nodiscard]] int fd() const { return fd_.get(); }
  /// False: read(2) into a protected page fails with EFAULT instead of waiting for the guard.
  [[nodiscard]] bool sees_kernel_faults() const { return sees_kernel_faults_; }

  [[nodiscard]] int register_range(std::byte* address, std::uint64_t bytes) const;
  /// EEXIST: a page of the range was there already; earlier ones are installed. Wakes.
  [[nodiscard]] int install(std::byte* address, std::uint64_t bytes, bool protect) const;
  [[nodiscard]] int protect(std::byte* address, std::uint64_t bytes) const;
  /// Lifts write protection and wakes who waits.
  [[nodiscard]] int unprotect(std::byte* address, std::uint64_t bytes) const;
  void wake(std::byte* address, std::uint64_t bytes) const;
  /// Takes pending messages without waiting; returns how many.
  [[nodiscard]] std::size_t read(std::span<uffd_msg> messages) const;

 private:
  Userfaultfd(UniqueFd fd, bool sees_kernel_faults)
      : fd_(std::move(fd)), sees_kernel_faults_(sees_kernel_faults) {}
  [[nodiscard]] int write_protect(std::byte* address, std::uint64_t bytes,
                                  std::uint64_t mode) const;

  UniqueFd fd_;
  bool sees_kernel_faults_ = false;
};

}  // namespace strictsend::pagecache
