// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/statistics/listeners.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "apps/cli/values.hpp"

namespace strictsend::statistics {
namespace {

constexpr int backlog = 64;

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

tl::unexpected<Error> no_socket(const std::string& path, int error, std::string hint) {
  return fail("make the statistics socket " + path, error, std::move(hint));
}

/// Leaves the path free for `address`, which names it, or says why it is not.
Result<void> clear_way(const std::string& path, const sockaddr_un& address) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return {};  // if it is not for want of one, bind says so
  if (!S_ISSOCK(status.st_mode))
    return no_socket(path, EEXIST,
                     "what stands there is no socket and is left alone; name another path, or "
                     "remove it yourself");
  const app::UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe.valid()) return no_socket(path, errno, {});
  const int connected =
      ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  if (connected == 0 || errno == EAGAIN)
    return no_socket(path, EADDRINUSE,
                     "another server tells its statistics there; give each a path of its own");
  if (errno == ENOENT) return {};
  if (errno != ECONNREFUSED)
    return no_socket(path, errno,
                     "the socket that stands there is not strictsend's, or may not be asked; name "
                     "another path, or remove it yourself");
  // Nobody listens: a server that was killed left it.
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return no_socket(path, errno, "a stale socket stands there; remove it, or name another path");
  return {};
}

socklen_t fill(const LoopbackEndpoint& endpoint, sockaddr_storage& storage) {
  if (endpoint.address.is_v4()) {
    auto& address = reinterpret_cast<sockaddr_in&>(storage);
    address.sin_family = AF_INET;
    address.sin_port = htons(endpoint.port);
    std::memcpy(&address.sin_addr, endpoint.address.v4().data(), sizeof address.sin_addr);
    return sizeof address;
  }
  auto& address = reinterpret_cast<sockaddr_in6&>(storage);
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(endpoint.port);
  std::memcpy(&address.sin6_addr, endpoint.address.v6().data(), sizeof address.sin6_addr);
  return sizeof address;
}

std::uint16_t port_of(const sockaddr_storage& storage) {
  return ntohs(storage.ss_family == AF_INET
                   ? reinterpret_cast<const sockaddr_in&>(storage).sin_port
                   : reinterpret_cast<const sockaddr_in6&>(storage).sin6_port);
}

bool is_loopback(const IpAddress& address) {
  if (address.is_v4()) return address.v4()[0] == 127;
  return address == parse_ip_address("::1");
}

}  // namespace

Result<UnixListener> UnixListener::bind(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return no_socket(path, ENAMETOOLONG,
                     fmt::format("a socket's path has 1 to {} characters; name a shorter one, such "
                                 "as /run/strictsend/stats.sock",
                                 sizeof address.sun_path - 1));
  std::memcpy(address.sun_path, path.data(), path.size());
  if (Result<void> clear = clear_way(path, address); !clear) return tl::unexpected(clear.error());

  app::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return no_socket(path, errno, {});
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return no_socket(path, errno, "its directory must be there, and be writable to the server");
  UnixListener listener(path, std::move(fd));
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return no_socket(path, errno, {});
  listener.device_ = status.st_dev;
  listener.inode_ = status.st_ino;
  // Before it listens, so that nobody connects whom the mode does not admit.
  struct stat directory {};
  if (::stat(directory_of(path).c_str(), &directory) == 0 &&
      ::lchown(path.c_str(), directory.st_uid, directory.st_gid) != 0 && errno != EPERM)
    return no_socket(path, errno, {});
  if (::chmod(path.c_str(), 0660) != 0) return no_socket(path, errno, {});
  if (::listen(listener.fd(), backlog) != 0) return no_socket(path, errno, {});
  return listener;
}

UnixListener::~UnixListener() {
  if (!fd_.valid()) return;
  struct stat status {};
  if (::lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_)
    ::unlink(path_.c_str());
}

tl::expected<LoopbackEndpoint, std::string> parse_loopback_endpoint(std::string_view text) {
  LoopbackEndpoint endpoint;
  const std::size_t colon = text.rfind(':');
  if (colon != std::string_view::npos) {
    std::string_view host = text.substr(0, colon);
    const bool in_brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (in_brackets) host = host.substr(1, host.size() - 2);
    const auto address = parse_ip_address(host);
    if (!address || address->is_v6() != in_brackets)
      return tl::unexpected(fmt::format(
          "\"{}\" is no address and port; write 9100, 127.0.0.1:9100 or [::1]:9100", text));
    if (!is_loopback(*address))
      return tl::unexpected(
          fmt::format("{} is not a loopback address, and whoever reaches metrics may read them: "
                      "write 127.0.0.1 or [::1], and put a proxy that asks who it is before others",
                      to_string(*address)));
    endpoint.address = *address;
    text = text.substr(colon + 1);
  }
  const auto port = cli::parse_number(text, 0, 65535);
  if (!port)
    return tl::unexpected(
        fmt::format("\"{}\" is no port; write a number to 65535, alone or behind an address, as in "
                    "127.0.0.1:9100",
                    text));
  endpoint.port = static_cast<std::uint16_t>(*port);
  return endpoint;
}

Result<LoopbackListener> LoopbackListener::bind(const LoopbackEndpoint& endpoint) {
  const std::string what =
      fmt::format("listen for metrics on {}:{}", to_url_host(endpoint.address), endpoint.port);
  const int family = endpoint.address.is_v4() ? AF_INET : AF_INET6;
  app::UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return fail(what, errno);
  // A server that was started again need not wait for the old one's connections to be forgotten.
  constexpr int on = 1;
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
    return fail(what, errno);
  sockaddr_storage address{};
  const socklen_t size = fill(endpoint, address);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0)
    return fail(what, errno, "choose another port with --metrics; 0 takes one that is free");
  if (::listen(fd.get(), backlog) != 0)
    return fail(what, errno, "choose another port with --metrics; 0 takes one that is free");
  socklen_t length = sizeof address;
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0)
    return fail(what, errno);
  return LoopbackListener(std::move(fd), {endpoint.address, port_of(address)});
}

}  // namespace strictsend::statistics
