// SPDX-License-Identifier: Apache-2.0
#include "apps/top/fetch.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "apps/serve/statistics/json_document.hpp"

namespace strictsend::top {
namespace {

constexpr std::size_t document_bytes_max = 16U << 20;

std::string hint_for(int error) {
  switch (error) {
    case ENOENT:
      return "start `strictsend serve` with this path as its --stats-socket";
    case ECONNREFUSED:
      return "the server that made this socket is gone";
    case EACCES:
      return "the socket's owner and group may connect, and root";
    case EAGAIN:
      return "the server does not take connections";
    default:
      return {};
  }
}

}  // namespace

Result<Fetch> Fetch::begin(const std::string& path, TimePoint deadline) {
  const std::string what = "connect to " + path;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(what, ENAMETOOLONG, "no socket has so long a path");
  std::memcpy(address.sun_path, path.data(), path.size());
  app::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return fail(what, errno);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail(what, errno, hint_for(errno));
  return Fetch(std::move(fd), deadline);
}

std::optional<Result<statistics::ServerStatus>> Fetch::go_on(TimePoint now) {
  std::array<char, 65536> block;
  while (true) {
    const ssize_t got = ::recv(fd_.get(), block.data(), block.size(), 0);
    if (got == 0) return statistics::parse_document(document_);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno != EAGAIN) return fail("read the statistics", errno);
    if (got < 0) break;
    document_.append(block.data(), static_cast<std::size_t>(got));
    if (document_.size() > document_bytes_max)
      return fail("read the statistics", EMSGSIZE, "what comes is no document of strictsend's");
  }
  if (now < deadline_) return std::nullopt;
  return fail("read the statistics", ETIMEDOUT, "the server does not answer");
}

}  // namespace strictsend::top
