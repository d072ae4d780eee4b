// SPDX-License-Identifier: Apache-2.0
#include "nic/af_xdp/interface_lock.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <unistd.h>

namespace strictsend::nic::af_xdp {
namespace {

/// Who holds it, by the credentials of its listening socket; 0: it went away meanwhile.
pid_t holder(const sockaddr_un& address, socklen_t address_bytes) {
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  ucred credentials{};
  socklen_t bytes = sizeof credentials;
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), address_bytes) != 0 ||
      ::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &bytes) != 0)
    return 0;
  return credentials.pid;
}

struct Name {
  sockaddr_un address{};
  socklen_t bytes = 0;
};

Name name_of(std::uint32_t interface_index) {
  Name name;
  name.address.sun_family = AF_UNIX;
  const std::string text = "strictsend/af_xdp/" + std::to_string(interface_index);
  // A leading zero byte: abstract.
  text.copy(name.address.sun_path + 1, sizeof(name.address.sun_path) - 1);
  name.bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + text.size());
  return name;
}

}  // namespace

pid_t InterfaceLock::holder_of(std::uint32_t interface_index) {
  const Name name = name_of(interface_index);
  return holder(name.address, name.bytes);
}

Result<InterfaceLock> InterfaceLock::take(const std::string& interface_name,
                                          std::uint32_t interface_index) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return fail("opening a unix socket", errno);
  const auto [address, bytes] = name_of(interface_index);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), bytes) != 0) {
    const int error = errno;
    if (error != EADDRINUSE) return fail("claiming interface " + interface_name, error);
    const pid_t pid = holder(address, bytes);
    const std::string who = pid == ::getpid()
                                ? "another port of this process"
                                : "another strictsend process (pid " + std::to_string(pid) + ")";
    return fail("claiming interface " + interface_name, EBUSY,
                who + " is using it; an interface serves one engine at a time");
  }
  if (::listen(fd.get(), 1) != 0) return fail("claiming interface " + interface_name, errno);
  return InterfaceLock(std::move(fd));
}

}  // namespace strictsend::nic::af_xdp
