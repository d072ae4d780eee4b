// SPDX-License-Identifier: Apache-2.0
#include "pagecache/userfaultfd.hpp"

#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <fcntl.h>
#include <string>
#include <unistd.h>

namespace strictsend::pagecache {
namespace {

std::uint64_t number(const std::byte* address) {
  return reinterpret_cast<std::uintptr_t>(address);
}

int open_by_device() {
  const UniqueFd device(::open("/dev/userfaultfd", O_RDWR | O_CLOEXEC));
  if (!device.valid()) return -1;
  return ::ioctl(device.get(), USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
}

int open_by_system_call(int extra_flags) {
  return static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | extra_flags));
}

}  // namespace

Result<Userfaultfd> Userfaultfd::open() {
  bool sees_kernel_faults = true;
  UniqueFd fd(open_by_system_call(0));
  if (!fd.valid()) fd = UniqueFd(open_by_device());
  if (!fd.valid()) {
    sees_kernel_faults = false;
    fd = UniqueFd(open_by_system_call(UFFD_USER_MODE_ONLY));
  }
  if (!fd.valid()) {
    return fail("userfaultfd", errno,
                "writable mappings need it: a kernel with CONFIG_USERFAULTFD, and a sandbox that "
                "allows the system call");
  }
  uffdio_api api{};
  api.api = UFFD_API;
  api.features =
      UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_MINOR_SHMEM | UFFD_FEATURE_WP_HUGETLBFS_SHMEM;
  if (::ioctl(fd.get(), UFFDIO_API, &api) != 0) {
    return fail("userfaultfd handshake", errno,
                "write protection of shared memory needs Linux 5.19, writable mappings need 6.4");
  }
  return Userfaultfd(std::move(fd), sees_kernel_faults);
}

int Userfaultfd::register_range(std::byte* address, std::uint64_t bytes) const {
  uffdio_register argument{};
  argument.range = {number(address), bytes};
  argument.mode = UFFDIO_REGISTER_MODE_WP | UFFDIO_REGISTER_MODE_MINOR;
  return ::ioctl(fd_.get(), UFFDIO_REGISTER, &argument) == 0 ? 0 : errno;
}

int Userfaultfd::install(std::byte* address, std::uint64_t bytes, bool protect) const {
  std::uint64_t done = 0;
  while (done < bytes) {
    uffdio_continue argument{};
    argument.range = {number(address) + done, bytes - done};
    argument.mode = protect ? UFFDIO_CONTINUE_MODE_WP : 0;
    if (::ioctl(fd_.get(), UFFDIO_CONTINUE, &argument) == 0) return 0;
    // A partial result is reported as EAGAIN with the bytes done (ioctl_userfaultfd(2)).
    if (errno != EAGAIN) return errno;
    if (argument.mapped > 0) done += static_cast<std::uint64_t>(argument.mapped);
  }
  return 0;
}

int Userfaultfd::write_protect(std::byte* address, std::uint64_t bytes, std::uint64_t mode) const {
  uffdio_writeprotect argument{};
  argument.range = {number(address), bytes};
  argument.mode = mode;
  while (::ioctl(fd_.get(), UFFDIO_WRITEPROTECT, &argument) != 0) {
    if (errno != EAGAIN && errno != EINTR) return errno;
  }
  return 0;
}

int Userfaultfd::protect(std::byte* address, std::uint64_t bytes) const {
  return write_protect(address, bytes, UFFDIO_WRITEPROTECT_MODE_WP);
}

int Userfaultfd::unprotect(std::byte* address, std::uint64_t bytes) const {
  return write_protect(address, bytes, 0);
}

void Userfaultfd::wake(std::byte* address, std::uint64_t bytes) const {
  uffdio_range range{number(address), bytes};
  ::ioctl(fd_.get(), UFFDIO_WAKE, &range);
}

std::size_t Userfaultfd::read(std::span<uffd_msg> messages) const {
  const ssize_t bytes = ::read(fd_.get(), messages.data(), messages.size_bytes());
  return bytes <= 0 ? 0 : static_cast<std::size_t>(bytes) / sizeof(uffd_msg);
}

}  // namespace strictsend::pagecache
