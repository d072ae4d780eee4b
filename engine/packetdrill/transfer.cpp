// SPDX-License-Identifier: Apache-2.0
// What a SocketLayer does for read, write and their kin.
#include <linux/tcp.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "engine/packetdrill/socket_layer.hpp"

namespace strictsend::packetdrill {
namespace {

constexpr int receive_flags = MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL | MSG_CMSG_CLOEXEC;
constexpr int send_flags = MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE;

std::size_t length_of(std::span<const iovec> pieces) {
  std::size_t bytes = 0;
  for (const iovec& piece : pieces)
    bytes += piece.iov_len;
  return bytes;
}

bool has_bad_pointer(std::span<const iovec> pieces) {
  return std::ranges::any_of(
      pieces, [](const iovec& piece) { return piece.iov_base == nullptr && piece.iov_len > 0; });
}

std::vector<std::byte> gathered(std::span<const iovec> pieces) {
  std::vector<std::byte> bytes;
  bytes.reserve(length_of(pieces));
  for (const iovec& piece : pieces) {
    const auto* from = static_cast<const std::byte*>(piece.iov_base);
    bytes.insert(bytes.end(), from, from + piece.iov_len);
  }
  return bytes;
}

}  // namespace

// ---- receiving ----------------------------------------------------------------------------------

std::size_t SocketLayer::readable_bytes(const Socket& socket) {
  const std::size_t rest = socket.rest.size() - socket.rest_taken;
  return rest + (socket.gone ? 0 : stack_->waiting_bytes(socket.connection));
}

bool SocketLayer::ends_reading(const Socket& socket) const {
  return socket.peer_closed || socket.gone || socket.read_shut || socket.error != 0;
}

std::size_t SocketLayer::take_some(Socket& socket, std::span<std::byte> into) {
  if (!socket.gone) return stack_->receive(socket.connection, into);
  const std::size_t count = std::min(into.size(), socket.rest.size() - socket.rest_taken);
  std::copy_n(socket.rest.begin() + static_cast<std::ptrdiff_t>(socket.rest_taken), count,
              into.begin());
  socket.rest_taken += count;
  return count;
}

long SocketLayer::take_bytes(Lock& lock, Socket& socket, std::span<const iovec> pieces, int flags) {
  const std::size_t asked = length_of(pieces);
  if (asked == 0) return 0;
  const std::size_t least = (flags & MSG_WAITALL) != 0 ? asked : 1;
  const auto enough = [&] { return readable_bytes(socket) >= least || ends_reading(socket); };
  const bool blocks = !socket.nonblocking && (flags & MSG_DONTWAIT) == 0;
  if (!enough() && !(blocks && time_.wait(lock, deadline_after(-1), enough)) &&
      readable_bytes(socket) == 0)
    return blocks ? -ETIMEDOUT : -EAGAIN;
  if (readable_bytes(socket) == 0) return -std::exchange(socket.error, 0);  // 0: the end
  long total = 0;
  for (const iovec& piece : pieces) {
    const std::size_t count =
        take_some(socket, {static_cast<std::byte*>(piece.iov_base), piece.iov_len});
    total += static_cast<long>(count);
    if (count < piece.iov_len) break;
  }
  return total;
}

long SocketLayer::receive(int fd, std::span<const iovec> pieces, int flags) {
  Call call(*this);
  const auto socket = find(fd);
  if (!socket) return -EBADF;
  if (socket->kind != Socket::Kind::connected) return -ENOTCONN;
  if ((flags & ~receive_flags) != 0) return -EOPNOTSUPP;  // no urgent data, no error queue
  if (has_bad_pointer(pieces)) return -EFAULT;
  return take_bytes(call.lock, *socket, pieces, flags);
}

long SocketLayer::receive_message(int fd, msghdr* message, int flags) {
  Call call(*this);
  const auto socket = find(fd);
  if (!socket) return -EBADF;
  if (message == nullptr) return -EFAULT;
  if (socket->kind != Socket::Kind::connected) return -ENOTCONN;
  if ((flags & ~receive_flags) != 0) return -EOPNOTSUPP;
  const std::span<const iovec> pieces(message->msg_iov, message->msg_iovlen);
  if (has_bad_pointer(pieces)) return -EFAULT;
  const long count = take_bytes(call.lock, *socket, pieces, flags);
  if (count < 0) return count;
  message->msg_flags = 0;
  message->msg_namelen = 0;
  const std::size_t room = std::exchange(message->msg_controllen, 0);
  if (socket->options.tells_inq && message->msg_control != nullptr &&
      room >= CMSG_SPACE(sizeof(int))) {
    // As Linux tells it: at least one where the end is all that is left.
    const std::size_t left = readable_bytes(*socket);
    const int inq = left == 0 && ends_reading(*socket) ? 1 : static_cast<int>(left);
    message->msg_controllen = CMSG_SPACE(sizeof inq);
    cmsghdr* control = CMSG_FIRSTHDR(message);
    control->cmsg_level = IPPROTO_TCP;
    control->cmsg_type = TCP_CM_INQ;
    control->cmsg_len = CMSG_LEN(sizeof inq);
    std::memcpy(CMSG_DATA(control), &inq, sizeof inq);
  }
  return count;
}

// ---- sending ------------------------------------------------------------------------------------

std::uint64_t SocketLayer::unacknowledged_bytes(const Socket& socket) {
  const tcp::Connection* connection = socket.gone ? nullptr : stack_->connection(socket.connection);
  return connection != nullptr ? connection->stream_end() - connection->acked_to() : 0;
}

std::uint64_t SocketLayer::unsent_bytes(const Socket& socket) {
  const tcp::Connection* connection = socket.gone ? nullptr : stack_->connection(socket.connection);
  return connection != nullptr ? connection->stream_end() - connection->sent_to() : 0;
}

std::size_t SocketLayer::room_bytes(const Socket& socket) {
  const auto room = [](std::uint64_t used, std::uint64_t limit) {
    return used < limit ? limit - used : 0;
  };
  // The buffer counts payload alone, where Linux counts what keeps it too.
  const std::uint64_t buffer = room(unacknowledged_bytes(socket), socket.options.send_buffer_bytes);
  const std::uint32_t lowat = socket.options.notsent_lowat_bytes;
  return lowat == 0 ? buffer : std::min(buffer, room(unsent_bytes(socket), lowat));
}

long SocketLayer::send(int fd, std::span<const iovec> pieces, int flags, const sockaddr* to) {
  Call call(*this);
  const auto socket = find(fd);
  if (!socket) return -EBADF;
  if (to != nullptr && socket->kind != Socket::Kind::connected) return -EOPNOTSUPP;  // no TFO
  if ((flags & ~send_flags) != 0) return -EOPNOTSUPP;
  if (socket->kind != Socket::Kind::connected) return -EPIPE;
  if (has_bad_pointer(pieces)) return -EFAULT;
  const std::vector<std::byte> bytes = gathered(pieces);
  const bool blocks = !socket->nonblocking && (flags & MSG_DONTWAIT) == 0;
  std::span<const std::byte> left(bytes);
  const auto taken = [&] { return static_cast<long>(bytes.size() - left.size()); };
  while (true) {
    if (socket->error != 0) return taken() > 0 ? taken() : -std::exchange(socket->error, 0);
    if (socket->gone || socket->write_shut) return taken() > 0 ? taken() : -EPIPE;
    if (left.empty()) return taken();
    if (const std::size_t room = room_bytes(*socket); room > 0) {
      const auto piece = left.first(std::min(room, left.size()));
      if (const auto sent = stack_->submit(socket->connection, piece); !sent)
        return taken() > 0 ? taken() : -sent.error().errno_value;
      left = left.subspan(piece.size());
      continue;
    }
    socket->wants_space = true;
    if (!blocks) return taken() > 0 ? taken() : -EAGAIN;
    const auto changed = [&] {
      return room_bytes(*socket) > 0 || socket->error != 0 || socket->gone || socket->write_shut;
    };
    if (!time_.wait(call.lock, deadline_after(-1), changed))
      return taken() > 0 ? taken() : -ETIMEDOUT;
  }
}

void SocketLayer::note_space(Socket& socket) {
  if (!socket.wants_space || !writable(socket)) return;
  socket.wants_space = false;
  ++socket.edges;
}

void SocketLayer::note_space_of_all() {
  for (const auto& [slot, socket] : flows_)
    note_space(*socket);
}

}  // namespace strictsend::packetdrill
