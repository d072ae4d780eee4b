// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <poll.h>
#include <span>

#include "base/result.hpp"
#include "engine/packetdrill/flags.hpp"
#include "engine/packetdrill/socket.hpp"
#include "engine/packetdrill/virtual_stack.hpp"
#include "engine/packetdrill/virtual_time.hpp"

namespace strictsend::packetdrill {

/// The system calls that scripts make, on the engine in virtual time: what a kernel has between its
/// sockets and its TCP.
///
/// One for each `packetdrill_interface_init`, until its `free`. Every call takes the one mutex, and
/// answers as system calls inside the kernel do: what it has to say, or a negative errno. Those
/// that can block do so as VirtualTime says, and no longer than `wait_limit` of virtual time.
///
/// The stack is made when the first packet comes, which is when its addresses, its buffers and its
/// MSS are known at last: scripts set options of a socket that listens already. It has one address
/// of each family: what the listener is bound to, else where the first packet goes, else
/// `address_default` or `address6_default`.
class SocketLayer {
 public:
  static constexpr Duration wait_limit = seconds(300);
  static constexpr Ipv4Address address_default{192, 168, 0, 1};
  /// fd3d:fa7b:d17d::1, of packetdrill's own prefix.
  static constexpr Ipv6Address address6_default{0xfd, 0x3d, 0xfa, 0x7b, 0xd1, 0x7d, 0, 0,
                                                0,    0,    0,    0,    0,    0,    0, 1};

  explicit SocketLayer(const Flags& flags);
  SocketLayer(const SocketLayer&) = delete;
  SocketLayer& operator=(const SocketLayer&) = delete;
  ~SocketLayer();

  // Life of a socket (socket_layer.cpp).
  long socket(int domain, int type, int protocol);
  long bind(int fd, const sockaddr* address, socklen_t address_bytes);
  long listen(int fd, int backlog);
  long accept(int fd, sockaddr* address, socklen_t* address_bytes);
  long connect(int fd, const sockaddr* address, socklen_t address_bytes);
  long close(int fd);
  long shutdown(int fd, int how);
  long fcntl(int fd, int command, long argument);
  long ioctl(int fd, unsigned long request, void* argument);

  // Bytes (transfer.cpp).
  long receive(int fd, std::span<const iovec> pieces, int flags);
  long receive_message(int fd, msghdr* message, int flags);
  long send(int fd, std::span<const iovec> pieces, int flags, const sockaddr* to);

  // Options (socket_options.cpp).
  long getsockopt(int fd, int level, int name, void* value, socklen_t* value_bytes);
  long setsockopt(int fd, int level, int name, const void* value, socklen_t value_bytes);

  // Readiness (readiness.cpp).
  long poll(std::span<pollfd> fds, int timeout_ms);
  long epoll_create(int size);
  long epoll_ctl(int epoll_fd, int operation, int fd, const epoll_event* event);
  long epoll_wait(int epoll_fd, std::span<epoll_event> events, int timeout_ms);

  // The network and the clock (socket_layer.cpp).
  long netdev_send(std::span<const std::byte> packet);
  /// 0 bytes: nothing was sent within `wait_limit`.
  long netdev_receive(std::span<std::byte> into, std::size_t& bytes, Time& at);
  long sleep(Duration duration);
  /// Asking takes a microsecond: packetdrill waits for the last of them in a loop that only asks.
  Time time();

  /// Whether this descriptor is a socket here.
  [[nodiscard]] bool owns(int fd);

 private:
  using Lock = VirtualTime::Lock;

  /// What every call begins and ends with.
  class Call {
   public:
    explicit Call(SocketLayer& layer) : layer_(layer), lock(layer.mutex_) { layer.time_.enter(); }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call() { layer_.time_.release_waits(lock); }

   private:
    SocketLayer& layer_;

   public:
    Lock lock;
  };

  [[nodiscard]] std::shared_ptr<Socket> find(int fd);
  long insert(std::shared_ptr<Socket> socket);
  long make_stack(const IpAddress& address);
  void on_event(const Event& event, std::vector<std::byte> rest);
  [[nodiscard]] std::shared_ptr<Socket> of(ConnectionId id);
  void end(const std::shared_ptr<Socket>& socket);
  /// From here on packets come that are of this family.
  void listen_for(AddressFamily family);
  /// The deadline of a wait of so many milliseconds; negative: `wait_limit`.
  [[nodiscard]] Time deadline_after(int timeout_ms) const;

  // transfer.cpp
  [[nodiscard]] std::size_t readable_bytes(const Socket& socket);
  [[nodiscard]] bool ends_reading(const Socket& socket) const;
  long take_bytes(Lock& lock, Socket& socket, std::span<const iovec> pieces, int flags);
  std::size_t take_some(Socket& socket, std::span<std::byte> into);
  [[nodiscard]] std::size_t room_bytes(const Socket& socket);
  [[nodiscard]] std::uint64_t unacknowledged_bytes(const Socket& socket);
  [[nodiscard]] std::uint64_t unsent_bytes(const Socket& socket);
  void note_space(Socket& socket);
  void note_space_of_all();

  // readiness.cpp
  [[nodiscard]] std::uint32_t ready_events(Socket& socket);
  [[nodiscard]] bool writable(const Socket& socket);
  std::size_t collect(Socket& set, std::span<epoll_event> events);

  // socket_options.cpp
  long get_ipv6_level(const Socket& socket, int name, void* value, socklen_t* value_bytes);
  long get_socket_level(Socket& socket, int name, void* value, socklen_t* value_bytes);
  long get_tcp_level(const Socket& socket, int name, void* value, socklen_t* value_bytes);
  long set_socket_level(Socket& socket, int name, std::span<const std::byte> value);
  long set_tcp_level(Socket& socket, int name, std::span<const std::byte> value);

  const Flags flags_;
  std::mutex mutex_;
  VirtualTime time_;
  std::map<int, std::shared_ptr<Socket>> sockets_;
  std::shared_ptr<Socket> listener_;                        ///< the one that listens
  std::map<std::uint32_t, std::shared_ptr<Socket>> flows_;  ///< by the connection's slot
  std::unique_ptr<VirtualStack> stack_;
};

}  // namespace strictsend::packetdrill
