// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <unistd.h>

#include "base/page.hpp"
#include "base/unique_fd.hpp"

// Younger than Debian 12's headers: <linux/userfaultfd.h> of Linux 6.4.
#ifndef UFFDIO_CONTINUE_MODE_WP
#define UFFDIO_CONTINUE_MODE_WP (std::uint64_t{1} << 1)
#endif
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif

namespace strictsend::test {

/// The smallest set-up in which the kernel facts of the page cache can be seen: a sealed memfd, the
/// view that a NIC would read, and a registered mapping that starts without page table entries.
///
/// Deliberately not built from the page cache's own parts: these tests say what the kernel does,
/// not what the cache believes. Set-up failures throw.
class UffdLab {
 public:
  explicit UffdLab(std::size_t pages) : bytes_(pages * page_bytes) {
    memfd_ = UniqueFd(::memfd_create("uffd-lab", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    check(memfd_.valid(), "memfd_create");
    check(::ftruncate(memfd_.get(), static_cast<off_t>(bytes_)) == 0, "ftruncate");
    view_ = map();
    pool_ = map();
    check(::madvise(pool_, bytes_, MADV_DONTFORK) == 0, "MADV_DONTFORK");
    for (std::size_t i = 0; i < bytes_; ++i)
      view_[i] = static_cast<std::byte>(i / page_bytes + 1);
    check(
        ::fcntl(memfd_.get(), F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) == 0,
        "F_ADD_SEALS");
    uffd_ = open_userfaultfd();
    mapping_ = duplicate(0, bytes_);
    check(register_range(mapping_, bytes_) == 0, "UFFDIO_REGISTER");
  }
  UffdLab(const UffdLab&) = delete;
  UffdLab& operator=(const UffdLab&) = delete;
  ~UffdLab() {
    uffd_.reset();  // wakes whoever still waits for a fault
    ::munmap(mapping_, bytes_);
    ::munmap(pool_, bytes_);
    ::munmap(view_, bytes_);
  }

  [[nodiscard]] int memfd() const { return memfd_.get(); }
  [[nodiscard]] int uffd() const { return uffd_.get(); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] std::byte* view(std::size_t page = 0) const { return view_ + page * page_bytes; }
  [[nodiscard]] std::byte* mapping(std::size_t page = 0) const {
    return mapping_ + page * page_bytes;
  }

  /// A further mapping of [page, …) of the memfd, under the seal; at `target` if that is given.
  std::byte* duplicate(std::size_t page, std::size_t bytes, void* target = nullptr) const {
    void* const at =
        target == nullptr
            ? ::mremap(pool_ + page * page_bytes, 0, bytes, MREMAP_MAYMOVE)
            : ::mremap(pool_ + page * page_bytes, 0, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, target);
    check(at != MAP_FAILED, "mremap with old size 0");
    return static_cast<std::byte*>(at);
  }

  // Each returns 0 or the errno.
  int register_range(void* at, std::size_t bytes) const {
    uffdio_register request{};
    request.range = {address(at), bytes};
    request.mode = UFFDIO_REGISTER_MODE_MINOR | UFFDIO_REGISTER_MODE_WP;
    return ::ioctl(uffd_.get(), UFFDIO_REGISTER, &request) == 0 ? 0 : errno;
  }
  int install(std::size_t page, bool protect, std::size_t pages = 1) const {
    uffdio_continue request{};
    request.range = {address(mapping(page)), pages * page_bytes};
    request.mode = protect ? UFFDIO_CONTINUE_MODE_WP : 0;
    return ::ioctl(uffd_.get(), UFFDIO_CONTINUE, &request) == 0 ? 0 : errno;
  }
  int protect(std::size_t page, std::size_t pages = 1) const {
    return write_protect(mapping(page), pages * page_bytes, UFFDIO_WRITEPROTECT_MODE_WP);
  }
  int unprotect(std::size_t page, std::size_t pages = 1) const {
    return write_protect(mapping(page), pages * page_bytes, 0);
  }
  int write_protect(void* at, std::size_t bytes, std::uint64_t mode) const {
    uffdio_writeprotect request{};
    request.range = {address(at), bytes};
    request.mode = mode;
    return ::ioctl(uffd_.get(), UFFDIO_WRITEPROTECT, &request) == 0 ? 0 : errno;
  }

  struct Fault {
    std::size_t page = 0;
    bool write_protected = false;
    bool minor = false;
  };
  /// The next fault in the mapping; nothing if none comes. The limit is only there so that a broken
  /// kernel fails a test instead of hanging it.
  std::optional<Fault> wait_for_fault(int limit_ms = 60'000) const {
    pollfd ready{uffd_.get(), POLLIN, 0};
    if (::poll(&ready, 1, limit_ms) != 1) return std::nullopt;
    uffd_msg message{};
    if (::read(uffd_.get(), &message, sizeof message) != sizeof message) return std::nullopt;
    if (message.event != UFFD_EVENT_PAGEFAULT) return std::nullopt;
    Fault fault;
    fault.page = (message.arg.pagefault.address - address(mapping_)) / page_bytes;
    fault.write_protected = (message.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) != 0;
    fault.minor = (message.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_MINOR) != 0;
    return fault;
  }
  [[nodiscard]] bool fault_is_waiting() const {
    pollfd ready{uffd_.get(), POLLIN, 0};
    return ::poll(&ready, 1, 0) == 1;
  }

  static std::uint64_t address(const void* at) { return reinterpret_cast<std::uintptr_t>(at); }

 private:
  static void check(bool ok, const char* what) {
    if (!ok) throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
  }
  std::byte* map() const {
    void* const at = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, memfd_.get(), 0);
    check(at != MAP_FAILED, "mmap");
    return static_cast<std::byte*>(at);
  }
  static UniqueFd open_userfaultfd() {
    UniqueFd fd;
    const UniqueFd device(::open("/dev/userfaultfd", O_RDWR | O_CLOEXEC));
    if (device.valid())
      fd = UniqueFd(::ioctl(device.get(), USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK));
    if (!fd.valid())
      fd = UniqueFd(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)));
    check(fd.valid(), "userfaultfd");
    uffdio_api api{};
    api.api = UFFD_API;
    api.features =
        UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_MINOR_SHMEM | UFFD_FEATURE_WP_HUGETLBFS_SHMEM;
    check(::ioctl(fd.get(), UFFDIO_API, &api) == 0, "UFFDIO_API");
    return fd;
  }

  std::size_t bytes_;
  UniqueFd memfd_;
  UniqueFd uffd_;
  std::byte* view_ = nullptr;
  std::byte* pool_ = nullptr;
  std::byte* mapping_ = nullptr;
};

}  // namespace strictsend::test
