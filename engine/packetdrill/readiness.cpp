// SPDX-License-Identifier: Apache-2.0
// What a SocketLayer does for poll and epoll.
#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "engine/packetdrill/socket_layer.hpp"

namespace strictsend::packetdrill {

static_assert(POLLIN == EPOLLIN && POLLOUT == EPOLLOUT && POLLERR == EPOLLERR &&
              POLLHUP == EPOLLHUP && POLLRDHUP == EPOLLRDHUP);

/// As Linux has it: when a third of the buffer is free, and half of what may be unsent.
bool SocketLayer::writable(const Socket& socket) {
  const std::uint64_t used_bytes = unacknowledged_bytes(socket);
  const std::uint64_t limit_bytes = socket.options.send_buffer_bytes;
  const std::uint64_t lowat_bytes = socket.options.notsent_lowat_bytes;
  if (lowat_bytes != 0 && unsent_bytes(socket) * 2 >= lowat_bytes) return false;
  return used_bytes < limit_bytes && limit_bytes - used_bytes >= used_bytes / 2;
}

std::uint32_t SocketLayer::ready_events(Socket& socket) {
  std::uint32_t events = 0;
  switch (socket.kind) {
    case Socket::Kind::fresh:
      return EPOLLOUT | EPOLLHUP;
    case Socket::Kind::listening:
      return socket.accepted.empty() ? 0 : EPOLLIN | EPOLLRDNORM;
    case Socket::Kind::epoll:
      return 0;
    case Socket::Kind::connected:
      break;
  }
  const bool no_more = socket.peer_closed || socket.read_shut || socket.gone;
  if (readable_bytes(socket) > 0 || no_more || socket.error != 0) events |= EPOLLIN | EPOLLRDNORM;
  if (no_more) events |= EPOLLRDHUP;
  if (socket.gone || (no_more && socket.write_shut)) events |= EPOLLHUP;
  if (socket.error != 0) events |= EPOLLERR;
  if (socket.write_shut || socket.gone || writable(socket)) {
    events |= EPOLLOUT | EPOLLWRNORM;
  } else {
    socket.wants_space = true;
  }
  return events;
}

long SocketLayer::poll(std::span<pollfd> fds, int timeout_ms) {
  Call call(*this);
  if (fds.data() == nullptr && !fds.empty()) return -EFAULT;
  constexpr std::uint32_t always = POLLERR | POLLHUP;
  const auto look = [&] {
    long count = 0;
    for (pollfd& asked : fds) {
      asked.revents = 0;
      if (asked.fd < 0) continue;
      const auto socket = find(asked.fd);
      const auto wanted = static_cast<std::uint32_t>(static_cast<std::uint16_t>(asked.events));
      asked.revents =
          socket ? static_cast<short>(ready_events(*socket) & (wanted | always)) : POLLNVAL;
      if (asked.revents != 0) ++count;
    }
    return count;
  };
  time_.wait(call.lock, deadline_after(timeout_ms), [&] { return look() > 0; });
  return look();
}

long SocketLayer::epoll_create(int size) {
  const Call call(*this);
  if (size <= 0) return -EINVAL;
  auto set = std::make_shared<Socket>();
  set->kind = Socket::Kind::epoll;
  return insert(std::move(set));
}

long SocketLayer::epoll_ctl(int epoll_fd, int operation, int fd, const epoll_event* event) {
  const Call call(*this);
  const auto set = find(epoll_fd);
  const auto socket = find(fd);
  if (!set || !socket) return -EBADF;
  if (set->kind != Socket::Kind::epoll || socket->kind == Socket::Kind::epoll) return -EINVAL;
  const auto found = set->interests.find(fd);
  const bool known = found != set->interests.end();
  if (operation == EPOLL_CTL_DEL) {
    if (!known) return -ENOENT;
    set->interests.erase(found);
    return 0;
  }
  if (operation != EPOLL_CTL_ADD && operation != EPOLL_CTL_MOD) return -EINVAL;
  if (event == nullptr) return -EFAULT;
  if (operation == EPOLL_CTL_ADD && known) return -EEXIST;
  if (operation == EPOLL_CTL_MOD && !known) return -ENOENT;
  // What is ready now is told once, also by an edge: as if the edge had just come.
  constexpr std::uint64_t none_seen = ~std::uint64_t{0};
  set->interests.insert_or_assign(fd, Socket::Interest{*event, none_seen, true});
  return 0;
}

std::size_t SocketLayer::collect(Socket& set, std::span<epoll_event> events) {
  std::size_t count = 0;
  for (auto& [fd, interest] : set.interests) {
    if (count == events.size()) break;
    const auto socket = find(fd);
    if (!socket || !interest.armed) continue;
    const std::uint32_t wanted = interest.event.events;
    const std::uint32_t ready = ready_events(*socket) & (wanted | EPOLLERR | EPOLLHUP);
    const bool edge = interest.edges_seen != socket->edges;
    if (ready == 0 || ((wanted & EPOLLET) != 0 && !edge)) continue;
    interest.edges_seen = socket->edges;
    if ((wanted & EPOLLONESHOT) != 0) interest.armed = false;
    events[count].events = ready;
    events[count++].data = interest.event.data;
  }
  return count;
}

long SocketLayer::epoll_wait(int epoll_fd, std::span<epoll_event> events, int timeout_ms) {
  Call call(*this);
  const auto set = find(epoll_fd);
  if (!set) return -EBADF;
  if (set->kind != Socket::Kind::epoll || events.empty()) return -EINVAL;
  if (events.data() == nullptr) return -EFAULT;
  std::size_t count = 0;
  time_.wait(call.lock, deadline_after(timeout_ms), [&] {
    if (count == 0) count = collect(*set, events);
    return count > 0;
  });
  return static_cast<long>(count);
}

}  // namespace strictsend::packetdrill
