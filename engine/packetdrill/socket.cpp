// SPDX-License-Identifier: Apache-2.0
#include "engine/packetdrill/socket.hpp"

#include <sys/mman.h>
#include <sys/stat.h>

#include <tuple>
#include <utility>

namespace strictsend::packetdrill {

ReservedFd ReservedFd::take() {
  ReservedFd reserved;
  reserved.fd_ = UniqueFd(::memfd_create("strictsend-packetdrill-socket", MFD_CLOEXEC));
  struct stat facts {};
  if (reserved.fd_.valid() && ::fstat(reserved.fd_.get(), &facts) == 0) {
    reserved.device_ = facts.st_dev;
    reserved.inode_ = facts.st_ino;
  }
  return reserved;
}

ReservedFd& ReservedFd::operator=(ReservedFd&& other) noexcept {
  if (this != &other) {
    give_up_if_lost();
    fd_ = std::move(other.fd_);
    device_ = other.device_;
    inode_ = other.inode_;
  }
  return *this;
}

bool ReservedFd::still_ours() const {
  struct stat facts {};
  return fd_.valid() && ::fstat(fd_.get(), &facts) == 0 && facts.st_dev == device_ &&
         facts.st_ino == inode_;
}

void ReservedFd::give_up_if_lost() {
  if (fd_.valid() && !still_ours()) std::ignore = fd_.release();
}

bool Socket::takes(AddressFamily family) const {
  if (address) return address->family() == family;
  if (domain == AF_INET) return family == AddressFamily::ipv4;
  return family == AddressFamily::ipv6 || !options.v6_only;
}

}  // namespace strictsend::packetdrill
