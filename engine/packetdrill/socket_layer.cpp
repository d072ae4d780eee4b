// SPDX-License-Identifier: Apache-2.0
#include "engine/packetdrill/socket_layer.hpp"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <utility>

#include <spdlog/spdlog.h>

#include "nic/wire/layout.hpp"

namespace strictsend::packetdrill {
namespace {

struct Endpoint {
  std::optional<IpAddress> address;  ///< none: unspecified
  std::uint16_t port = 0;
};

constexpr std::array<std::uint8_t, 12> mapped_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/// nullopt: it is of another domain than the socket. An IPv4 address that is mapped into IPv6 (RFC
/// 4291 §2.5.5.2) is IPv4's.
std::optional<Endpoint> endpoint_of(int domain, const sockaddr* address, socklen_t bytes) {
  Endpoint endpoint;
  if (address->sa_family != domain) return std::nullopt;
  if (domain == AF_INET) {
    sockaddr_in in{};
    if (bytes < sizeof in) return std::nullopt;
    std::memcpy(&in, address, sizeof in);
    Ipv4Address v4;
    std::memcpy(v4.data(), &in.sin_addr, v4.size());
    if (v4 != Ipv4Address{}) endpoint.address = v4;
    endpoint.port = ntohs(in.sin_port);
    return endpoint;
  }
  sockaddr_in6 in{};
  if (bytes < sizeof in) return std::nullopt;
  std::memcpy(&in, address, sizeof in);
  Ipv6Address v6;
  std::memcpy(v6.data(), &in.sin6_addr, v6.size());
  if (std::ranges::equal(mapped_prefix, std::span(v6).first(mapped_prefix.size()))) {
    Ipv4Address v4;
    std::copy_n(v6.begin() + mapped_prefix.size(), v4.size(), v4.begin());
    endpoint.address = v4;
  } else if (v6 != Ipv6Address{}) {
    endpoint.address = v6;
  }
  endpoint.port = ntohs(in.sin6_port);
  return endpoint;
}

/// Where an IP packet goes, of either version; nullopt: it is shorter than an IP header, or none.
std::optional<IpAddress> destination_of(std::span<const std::byte> packet) {
  if (packet.empty()) return std::nullopt;
  const unsigned version = std::to_integer<unsigned>(packet[0]) >> 4;
  if (version == 4 && packet.size() >= wire::ipv4_bytes_min)
    return wire::load<wire::Ipv4Layout>(packet.data()).destination;
  if (version == 6 && packet.size() >= wire::ipv6_bytes)
    return wire::load<wire::Ipv6Layout>(packet.data()).destination;
  return std::nullopt;
}

void tell_address(int domain, const IpAddress& address, std::uint16_t port, sockaddr* into,
                  socklen_t* into_bytes) {
  if (into == nullptr || into_bytes == nullptr) return;
  sockaddr_storage storage{};
  socklen_t bytes = 0;
  if (domain == AF_INET) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port);
    std::memcpy(&in.sin_addr, address.bytes().data(), 4);
    std::memcpy(&storage, &in, bytes = sizeof in);
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(port);
    std::uint8_t* at = in.sin6_addr.s6_addr;
    if (address.is_v4()) at = std::ranges::copy(mapped_prefix, at).out;
    std::ranges::copy(address.bytes(), at);
    std::memcpy(&storage, &in, bytes = sizeof in);
  }
  std::memcpy(into, &storage, std::min(*into_bytes, bytes));
  *into_bytes = bytes;
}

}  // namespace

SocketLayer::SocketLayer(const Flags& flags) : flags_(flags) {}

SocketLayer::~SocketLayer() {
  if (stack_) stack_->on_event = nullptr;
}

// ---- finding ------------------------------------------------------------------------------------

bool SocketLayer::owns(int fd) {
  const std::lock_guard lock(mutex_);
  return find(fd) != nullptr;
}

std::shared_ptr<Socket> SocketLayer::find(int fd) {
  const auto found = sockets_.find(fd);
  if (found == sockets_.end() || !found->second->fd.still_ours()) return nullptr;
  return found->second;
}

std::shared_ptr<Socket> SocketLayer::of(ConnectionId id) {
  const auto found = flows_.find(id.slot);
  if (found == flows_.end() || found->second->connection != id) return nullptr;
  return found->second;
}

long SocketLayer::insert(std::shared_ptr<Socket> socket) {
  socket->fd = ReservedFd::take();
  if (!socket->fd.valid()) return -EMFILE;
  const int number = socket->fd.number();
  sockets_.insert_or_assign(number, std::move(socket));
  return number;
}

// ---- from socket to listen ----------------------------------------------------------------------

long SocketLayer::socket(int domain, int type, int protocol) {
  const Call call(*this);
  if (domain != AF_INET && domain != AF_INET6) return -EAFNOSUPPORT;
  if ((type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != SOCK_STREAM) return -ESOCKTNOSUPPORT;
  if (protocol != 0 && protocol != IPPROTO_TCP) return -EPROTONOSUPPORT;
  auto socket = std::make_shared<Socket>();
  socket->domain = domain;
  socket->nonblocking = (type & SOCK_NONBLOCK) != 0;
  socket->options.send_buffer_bytes = flags_.send_buffer_bytes;
  socket->options.congestion = flags_.congestion;
  return insert(std::move(socket));
}

long SocketLayer::bind(int fd, const sockaddr* address, socklen_t address_bytes) {
  const Call call(*this);
  const auto socket = find(fd);
  if (!socket) return -EBADF;
  if (socket->kind != Socket::Kind::fresh || socket->port != 0) return -EINVAL;
  if (address == nullptr) return -EFAULT;
  if (address_bytes < sizeof(sockaddr_in)) return -EINVAL;
  const std::optional<Endpoint> endpoint = endpoint_of(socket->domain, address, address_bytes);
  if (!endpoint) return -EAFNOSUPPORT;
  if (socket->options.v6_only && endpoint->address && endpoint->address->is_v4()) return -EINVAL;
  socket->address = endpoint->address;
  socket->port = endpoint->port;
  return 0;
}

long SocketLayer::listen(int fd, int backlog) {
  const Call call(*this);
  const auto socket = find(fd);
  if (!socket) return -EBADF;
  if (socket->kind == Socket::Kind::listening) return 0;
  if (socket->kind != Socket::Kind::fresh) return -EINVAL;
  if (socket->port == 0) return -EDESTADDRREQ;
  if (listener_) return -EADDRINUSE;  // the engine listens on one port
  listener_ = socket;
  socket->kind = Socket::Kind::listening;
  socket->backlog = static_cast<std::size_t>(std::max(backlog, 1));
  return 0;
}

long SocketLayer::make_stack(const IpAddress& address) {
  StackConfig config{.address = address_default,
                     .address6 = address6_default,
                     .mtu_bytes = flags_.mtu_bytes,
                     .receive_buffer_bytes = flags_.receive_buffer_bytes,
                     .congestion = flags_.congestion,
                     .sack = flags_.sack,
                     .ecn = flags_.ecn,
                     .pacing = flags_.pacing};
  const auto serve = [&config](const IpAddress& own) {
    if (own.is_v4() && own != IpAddress()) config.address = own.v4();
    if (own.is_v6()) config.address6 = own.v6();
  };
  serve(address);
  if (listener_) {
    if (listener_->address) serve(*listener_->address);
    config.mss_bytes = listener_->options.mss_bytes;
    if (config.mss_bytes != 0 && address.is_v6())
      config.mss_bytes =
          static_cast<std::uint16_t>(config.mss_bytes + wire::ipv6_bytes - wire::ipv4_bytes_min);
    config.congestion = listener_->options.congestion;
    if (const std::uint32_t bytes = listener_->options.receive_buffer_bytes; bytes != 0)
      config.receive_buffer_bytes = bytes;
  }
  auto made = VirtualStack::create(config, time_.now());
  if (!made) {
    spdlog::error("{}", made.error().message());
    return made.error().errno_value != 0 ? -made.error().errno_value : -ENOMEM;
  }
  stack_ = std::move(*made);
  stack_->on_event = [this](const Event& event, std::vector<std::byte> rest) {
    on_event(event, std::move(rest));
  };
  time_.attach(stack_.get());
  return 0;
}

void SocketLayer::listen_for(AddressFamily family) {
  stack_->listen(listener_ && listener_->takes(family) ? listener_->port : std::uint16_t{0});
}

// ---- connections --------------------------------------------------------------------------------

void SocketLayer::on_event(const Event& event, std::vector<std::byte> rest) {
  if (event.kind == Event::Kind::accepted) {
    if (!listener_) {
      stack_->abort(event.connection);
      return;
    }
    auto socket = std::make_shared<Socket>();
    socket->kind = Socket::Kind::connected;
    socket->domain = listener_->domain;
    socket->options = listener_->options;
    socket->address = listener_->address;
    socket->port = listener_->port;
    socket->connection = event.connection;
    socket->peer_address = event.peer_address;
    socket->peer_port = event.peer_port;
    flows_.insert_or_assign(event.connection.slot, socket);
    listener_->accepted.push_back(std::move(socket));
    ++listener_->edges;
    return;
  }
  const auto socket = of(event.connection);
  if (!socket) return;
  switch (event.kind) {
    case Event::Kind::readable:
      ++socket->edges;
      break;
    case Event::Kind::peer_closed:
      socket->peer_closed = true;
      ++socket->edges;
      break;
    case Event::Kind::closed:
      socket->gone = true;
      socket->error = event.result.error;
      socket->rest = std::move(rest);
      ++socket->edges;
      flows_.erase(event.connection.slot);
      break;
    default:
      break;
  }
}

long SocketLayer::accept(int fd, sockaddr* address, socklen_t* address_bytes) {
  Call call(*this);
  const auto socket = find(fd);
  if (!socket) return -EBADF;
  if (socket->kind != Socket::Kind::listening) return -EINVAL;
  if (socket->accepted.empty() && socket->nonblocking) return -EAGAIN;
  if (!time_.wait(call.lock, deadline_after(-1), [&] { return !socket->accepted.empty(); }))
    return -ETIMEDOUT;
  auto connection = socket->accepted.front();
  const long number = insert(connection);
  if (number < 0) return number;
  socket->accepted.pop_front();
  tell_address(connection->domain, connection->peer_address, connection->peer_port, address,
               address_bytes);
  return number;
}

long SocketLayer::connect(int fd, const sockaddr* address, socklen_t /*address_bytes*/) {
  const Call call(*this);
  const auto socket = find(fd);
  if (!socket) return -EBADF;
  if (address == nullptr) return -EFAULT;
  if (socket->kind == Socket::Kind::connected) return -EISCONN;
  return -EOPNOTSUPP;  // the engine opens passively
}

long SocketLayer::shutdown(int fd, int how) {
  const Call call(*this);
  const auto socket = find(fd);
  if (!socket) return -EBADF;
  if (how != SHUT_RD && how != SHUT_WR && how != SHUT_RDWR) return -EINVAL;
  if (socket->kind != Socket::Kind::connected || socket->gone) return -ENOTCONN;
  if (how != SHUT_WR) socket->read_shut = true;
  if (how != SHUT_RD) {
    socket->write_shut = true;
    stack_->close(socket->connection);
  }
  ++socket->edges;
  return 0;
}

long SocketLayer::close(int fd) {
  const Call call(*this);
  const auto socket = find(fd);
  if (!socket) return -EBADF;
  sockets_.erase(fd);
  for (auto& [number, other] : sockets_)
    other->interests.erase(fd);
  end(socket);
  socket->fd = {};
  return 0;
}

void SocketLayer::end(const std::shared_ptr<Socket>& socket) {
  if (socket == listener_) {
    listener_ = nullptr;
    for (const auto& waiting : socket->accepted) {
      if (!waiting->gone) stack_->abort(waiting->connection);
    }
    socket->accepted.clear();
  }
  if (socket->kind != Socket::Kind::connected || socket->gone) return;
  socket->orphaned = true;
  // RFC 2525 §2.17: who has not read everything must not let the peer think so.
  const bool unread = readable_bytes(*socket) > 0;
  const linger& on_close = socket->options.linger_on_close;
  if (unread || (on_close.l_onoff != 0 && on_close.l_linger == 0)) {
    stack_->abort(socket->connection);
  } else {
    stack_->close(socket->connection);
  }
}

long SocketLayer::fcntl(int fd, int command, long argument) {
  const Call call(*this);
  const auto socket = find(fd);
  if (!socket) return -EBADF;
  switch (command) {
    case F_GETFL:
      return O_RDWR | (socket->nonblocking ? O_NONBLOCK : 0);
    case F_SETFL:
      socket->nonblocking = (argument & O_NONBLOCK) != 0;
      return 0;
    case F_GETFD:
      return FD_CLOEXEC;
    case F_SETFD:
      return 0;  // nobody inherits it: the number stands for nothing elsewhere
    default:
      return -EINVAL;
  }
}

long SocketLayer::ioctl(int fd, unsigned long request, void* argument) {
  const Call call(*this);
  const auto socket = find(fd);
  if (!socket) return -EBADF;
  if (request != FIONBIO && request != SIOCINQ && request != SIOCOUTQ && request != SIOCOUTQNSD)
    return -ENOTTY;
  if (argument == nullptr) return -EFAULT;
  int value = 0;
  if (request == FIONBIO) {
    std::memcpy(&value, argument, sizeof value);
    socket->nonblocking = value != 0;
    return 0;
  }
  if (socket->kind != Socket::Kind::connected) return -EINVAL;
  if (request == SIOCINQ) value = static_cast<int>(readable_bytes(*socket));
  if (request == SIOCOUTQ) value = static_cast<int>(unacknowledged_bytes(*socket));
  if (request == SIOCOUTQNSD) value = static_cast<int>(unsent_bytes(*socket));
  std::memcpy(argument, &value, sizeof value);
  return 0;
}

// ---- the network and the clock ------------------------------------------------------------------

long SocketLayer::netdev_send(std::span<const std::byte> packet) {
  const Call call(*this);
  if (packet.data() == nullptr) return -EFAULT;
  const std::optional<IpAddress> destination = destination_of(packet);
  if (!destination) return -EINVAL;
  if (!stack_) {
    if (const long error = make_stack(*destination); error < 0) return error;
  }
  // The engine listens for both families at once, a socket perhaps for one.
  listen_for(destination->family());
  if (!stack_->inject(packet)) return -ENOBUFS;
  note_space_of_all();
  // RFC 9293 §3.6.1: what comes for a process that is gone is answered with a reset.
  std::vector<ConnectionId> deserted;
  for (const auto& [slot, socket] : flows_) {
    if (socket->orphaned && readable_bytes(*socket) > 0) deserted.push_back(socket->connection);
  }
  for (const ConnectionId id : deserted)
    stack_->abort(id);
  return 0;
}

long SocketLayer::netdev_receive(std::span<std::byte> into, std::size_t& bytes, Time& at) {
  Call call(*this);
  bytes = 0;
  if (into.data() == nullptr) return -EFAULT;
  const auto sent = [this] { return stack_ && !stack_->wire().empty(); };
  // Whoever sniffs is the one with nothing else to do: time passes here on any thread.
  if (!sent()) time_.pass(call.lock, deadline_after(-1), sent);
  at = time_.now();
  if (!sent()) return 0;
  const std::optional<SentPacket> packet = stack_->wire().take();
  if (packet->bytes.size() > into.size()) return -EMSGSIZE;
  std::ranges::copy(packet->bytes, into.begin());
  bytes = packet->bytes.size();
  at = packet->at;
  return 0;
}

long SocketLayer::sleep(Duration duration) {
  Call call(*this);
  time_.pass(call.lock, time_.now() + duration, [] { return false; });
  time_.let_returned_go_on(call.lock);
  return 0;
}

Time SocketLayer::time() {
  Call call(*this);
  time_.pass(call.lock, time_.now() + microseconds(1), [] { return false; });
  return time_.now();
}

Time SocketLayer::deadline_after(int timeout_ms) const {
  return time_.now() + (timeout_ms < 0 ? wait_limit : milliseconds(timeout_ms));
}

}  // namespace strictsend::packetdrill
