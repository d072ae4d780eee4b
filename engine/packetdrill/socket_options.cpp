// SPDX-License-Identifier: Apache-2.0
// What a SocketLayer does for getsockopt and setsockopt: an option is acted on, is true of the
// engine anyway, or is refused. None is taken in silence.
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

#include "engine/packetdrill/socket_layer.hpp"
#include "engine/packetdrill/tcp_info.hpp"
#include "nic/wire/header_template.hpp"

namespace strictsend::packetdrill {
namespace {

constexpr std::uint32_t buffer_bytes_min = 4608;  // SOCK_MIN_SNDBUF of Linux
constexpr std::uint32_t buffer_bytes_max = 8U << 20;
constexpr std::uint32_t receive_buffer_bytes_max = 15U << 20;
constexpr int mss_bytes_min = 88;  // TCP_MIN_MSS of Linux
constexpr int mss_bytes_max = 32767;
constexpr std::uint32_t tcp_header_bytes = 20;

long tell(const void* from, std::size_t bytes, void* value, socklen_t* value_bytes) {
  const auto count = std::min<std::size_t>(bytes, *value_bytes);
  std::memcpy(value, from, count);
  *value_bytes = static_cast<socklen_t>(count);
  return 0;
}

long tell(int number, void* value, socklen_t* value_bytes) {
  return tell(&number, sizeof number, value, value_bytes);
}

/// What stands before the payload where there are no options.
std::uint32_t headers_bytes_of(const Socket& socket) {
  const AddressFamily family = socket.peer_address.family();
  return static_cast<std::uint32_t>(wire::ip_header_bytes(family)) + tcp_header_bytes;
}

std::optional<int> number_of(std::span<const std::byte> value) {
  int number = 0;
  if (value.size() < sizeof number) return std::nullopt;
  std::memcpy(&number, value.data(), sizeof number);
  return number;
}

/// Linux keeps its own books in the buffer too, and so doubles what it is asked for: socket(7).
std::uint32_t doubled(int bytes, std::uint32_t most) {
  const auto asked = static_cast<std::uint32_t>(std::max(bytes, 0));
  return std::clamp(std::min(asked, most) * 2, buffer_bytes_min, most);
}

}  // namespace

long SocketLayer::getsockopt(int fd, int level, int name, void* value, socklen_t* value_bytes) {
  const Call call(*this);
  const auto socket = find(fd);
  if (!socket) return -EBADF;
  if (socket->kind == Socket::Kind::epoll) return -ENOTSOCK;
  if (value_bytes == nullptr || value == nullptr) return -EFAULT;
  if (level == SOL_SOCKET) return get_socket_level(*socket, name, value, value_bytes);
  if (level == IPPROTO_TCP) return get_tcp_level(*socket, name, value, value_bytes);
  if (level == IPPROTO_IP && name == IP_TOS) return tell(0, value, value_bytes);
  if (level == IPPROTO_IP && name == IP_MTU_DISCOVER)
    return tell(IP_PMTUDISC_DO, value, value_bytes);
  if (level == IPPROTO_IPV6 && socket->domain == AF_INET6)
    return get_ipv6_level(*socket, name, value, value_bytes);
  return -ENOPROTOOPT;
}

long SocketLayer::get_ipv6_level(const Socket& socket, int name, void* value,
                                 socklen_t* value_bytes) {
  switch (name) {
    case IPV6_V6ONLY:
      return tell(socket.options.v6_only ? 1 : 0, value, value_bytes);
    case IPV6_TCLASS:
      return tell(0, value, value_bytes);
    case IPV6_MTU_DISCOVER:
      return tell(IPV6_PMTUDISC_DO, value, value_bytes);
    default:
      return -ENOPROTOOPT;
  }
}

long SocketLayer::get_socket_level(Socket& socket, int name, void* value, socklen_t* value_bytes) {
  const SocketOptions& options = socket.options;
  const std::uint32_t receive_buffer = options.receive_buffer_bytes != 0
                                           ? options.receive_buffer_bytes
                                           : flags_.receive_buffer_bytes;
  switch (name) {
    case SO_ERROR:
      return tell(std::exchange(socket.error, 0), value, value_bytes);
    case SO_TYPE:
      return tell(SOCK_STREAM, value, value_bytes);
    case SO_DOMAIN:
      return tell(socket.domain, value, value_bytes);
    case SO_PROTOCOL:
      return tell(IPPROTO_TCP, value, value_bytes);
    case SO_ACCEPTCONN:
      return tell(socket.kind == Socket::Kind::listening ? 1 : 0, value, value_bytes);
    case SO_REUSEADDR:
      return tell(options.reuse_address ? 1 : 0, value, value_bytes);
    case SO_SNDBUF:
      return tell(static_cast<int>(options.send_buffer_bytes), value, value_bytes);
    case SO_RCVBUF:
      return tell(static_cast<int>(receive_buffer), value, value_bytes);
    case SO_LINGER:
      return tell(&options.linger_on_close, sizeof(linger), value, value_bytes);
    case SO_MEMINFO: {
      // linux/sock_diag.h: received and unread, its limit, unacknowledged, its limit, and five that
      // mean nothing here.
      std::array<std::uint32_t, 9> memory{};
      if (socket.kind == Socket::Kind::connected) {
        memory[0] = static_cast<std::uint32_t>(readable_bytes(socket));
        memory[2] = static_cast<std::uint32_t>(unacknowledged_bytes(socket));
      }
      memory[1] = receive_buffer;
      memory[3] = options.send_buffer_bytes;
      return tell(memory.data(), sizeof memory, value, value_bytes);
    }
    default:
      return -ENOPROTOOPT;
  }
}

long SocketLayer::get_tcp_level(const Socket& socket, int name, void* value,
                                socklen_t* value_bytes) {
  const tcp::Connection* connection = socket.kind == Socket::Kind::connected && !socket.gone
                                          ? stack_->connection(socket.connection)
                                          : nullptr;
  const std::uint32_t headers_bytes = headers_bytes_of(socket);
  const std::uint32_t own_mss_bytes =
      socket.options.mss_bytes != 0 ? socket.options.mss_bytes : flags_.mtu_bytes - headers_bytes;
  switch (name) {
    case TCP_NODELAY:
      return tell(1, value, value_bytes);  // there is no Nagle
    case TCP_MAXSEG:
      return tell(static_cast<int>(connection != nullptr ? connection->mss_bytes() : own_mss_bytes),
                  value, value_bytes);
    case TCP_NOTSENT_LOWAT:
      return tell(static_cast<int>(socket.options.notsent_lowat_bytes), value, value_bytes);
    case TCP_INQ:
      return tell(socket.options.tells_inq ? 1 : 0, value, value_bytes);
    case TCP_CONGESTION: {
      std::array<char, 16> text{};  // TCP_CA_NAME_MAX
      std::ranges::copy(name_of(socket.options.congestion), text.begin());
      return tell(text.data(), text.size(), value, value_bytes);
    }
    case TCP_CC_INFO:
      *value_bytes = 0;  // as Linux says of an algorithm that has nothing to tell
      return 0;
    case TCP_INFO: {
      const tcp_info info =
          connection != nullptr
              ? tcp_info_of(*connection, {flags_.mtu_bytes, headers_bytes, own_mss_bytes})
              : tcp_info_without_connection(socket.kind == Socket::Kind::listening);
      // Who asks for more knows of fields that came later than ours: of those we know nothing.
      std::memset(value, 0, *value_bytes);
      std::memcpy(value, &info, std::min<std::size_t>(sizeof info, *value_bytes));
      return 0;
    }
    default:
      return -ENOPROTOOPT;
  }
}

long SocketLayer::setsockopt(int fd, int level, int name, const void* value,
                             socklen_t value_bytes) {
  const Call call(*this);
  const auto socket = find(fd);
  if (!socket) return -EBADF;
  if (socket->kind == Socket::Kind::epoll) return -ENOTSOCK;
  if (value == nullptr) return -EFAULT;
  const std::span<const std::byte> bytes(static_cast<const std::byte*>(value), value_bytes);
  if (level == SOL_SOCKET) return set_socket_level(*socket, name, bytes);
  if (level == IPPROTO_TCP) return set_tcp_level(*socket, name, bytes);
  if (level == IPPROTO_IPV6 && name == IPV6_V6ONLY && socket->domain == AF_INET6) {
    const std::optional<int> number = number_of(bytes);
    if (!number || socket->port != 0) return -EINVAL;  // RFC 3493 §5.3: before it is bound
    socket->options.v6_only = *number != 0;
    return 0;
  }
  return -ENOPROTOOPT;
}

long SocketLayer::set_socket_level(Socket& socket, int name, std::span<const std::byte> value) {
  SocketOptions& options = socket.options;
  if (name == SO_LINGER) {
    if (value.size() < sizeof(linger)) return -EINVAL;
    linger wanted{};
    std::memcpy(&wanted, value.data(), sizeof wanted);
    // Waiting in close until all is acknowledged is not offered; a reset instead of FIN is.
    if (wanted.l_onoff != 0 && wanted.l_linger != 0) return -EOPNOTSUPP;
    options.linger_on_close = wanted;
    return 0;
  }
  const std::optional<int> number = number_of(value);
  if (!number) return -EINVAL;
  switch (name) {
    case SO_REUSEADDR:
      options.reuse_address = *number != 0;
      return 0;
    case SO_SNDBUF:
      options.send_buffer_bytes = doubled(*number, buffer_bytes_max);
      return 0;
    case SO_RCVBUF:
      // The engine has one size for all connections, and takes it with the first packet.
      if (stack_) return -EOPNOTSUPP;
      options.receive_buffer_bytes = doubled(*number, receive_buffer_bytes_max);
      return 0;
    default:
      return -ENOPROTOOPT;
  }
}

long SocketLayer::set_tcp_level(Socket& socket, int name, std::span<const std::byte> value) {
  SocketOptions& options = socket.options;
  if (name == TCP_CONGESTION) {
    const std::string_view text(reinterpret_cast<const char*>(value.data()), value.size());
    const auto algorithm = congestion_named(text.substr(0, text.find('\0')));
    if (!algorithm) return -ENOENT;
    if (stack_ && *algorithm != options.congestion) return -EOPNOTSUPP;
    options.congestion = *algorithm;
    return 0;
  }
  const std::optional<int> number = number_of(value);
  if (!number) return -EINVAL;
  switch (name) {
    case TCP_NODELAY:
      return *number != 0 ? 0 : -EOPNOTSUPP;
    case TCP_NOTSENT_LOWAT:
      options.notsent_lowat_bytes = static_cast<std::uint32_t>(*number);
      note_space(socket);
      return 0;
    case TCP_INQ:
      if (*number != 0 && *number != 1) return -EINVAL;
      options.tells_inq = *number == 1;
      return 0;
    case TCP_MAXSEG:
      if (*number < mss_bytes_min || *number > mss_bytes_max) return -EINVAL;
      if (stack_) return -EOPNOTSUPP;
      options.mss_bytes = static_cast<std::uint16_t>(*number);
      return 0;
    default:
      return -ENOPROTOOPT;
  }
}

}  // namespace strictsend::packetdrill
