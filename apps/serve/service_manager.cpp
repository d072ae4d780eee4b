// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/service_manager.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

namespace strictsend::serve {

ServiceManager ServiceManager::from_environment() {
  ServiceManager manager;
  const char* path = std::getenv("NOTIFY_SOCKET");  // NOLINT(concurrency-mt-unsafe)
  if (path == nullptr) return manager;
  manager.path_ = path;
  ::unsetenv("NOTIFY_SOCKET");  // NOLINT(concurrency-mt-unsafe)
  // Of the two other kinds of address that there are (vsock), no host's systemd makes use.
  const bool is_address = (manager.path_[0] == '/' || manager.path_[0] == '@') &&
                          manager.path_.size() < sizeof(sockaddr_un::sun_path);
  if (is_address) manager.socket_ = app::UniqueFd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return manager;
}

void ServiceManager::ready(std::string_view status) const {
  send(fmt::format("READY=1\nSTATUS={}", status));
}

void ServiceManager::stopping(std::string_view status) const {
  send(fmt::format("STOPPING=1\nSTATUS={}", status));
}

void ServiceManager::status(std::string_view status) const {
  send(fmt::format("STATUS={}", status));
}

void ServiceManager::send(std::string_view message) const {
  if (!listens()) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path_.data(), path_.size());
  if (path_[0] == '@') address.sun_path[0] = '\0';
  const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path_.size());
  ::sendto(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
           reinterpret_cast<const sockaddr*>(&address), bytes);
}

}  // namespace strictsend::serve
