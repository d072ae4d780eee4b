// SPDX-License-Identifier: Apache-2.0
// The shared object's face: the functions of packetdrill_abi.h on a SocketLayer, and the one symbol
// that packetdrill looks up. No exception leaves it.
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <fcntl.h>
#include <mutex>
#include <new>
#include <system_error>
#include <unistd.h>
#include <vector>

#include <spdlog/spdlog.h>

#include "engine/packetdrill/packetdrill_abi.h"
#include "engine/packetdrill/socket_layer.hpp"

#define STRICTSEND_EXPORTED extern "C" __attribute__((visibility("default")))

namespace strictsend::packetdrill {
namespace {

/// Those between init and free, for `getsockopt` below, which is told no userdata.
struct Instances {
  std::mutex mutex;
  std::vector<SocketLayer*> layers;
};

Instances& instances() {
  static Instances all;
  return all;
}

/// From the kernel's convention to the C library's.
template <class Work>
long answer(Work&& work) {
  long result = 0;
  try {
    result = work();
  } catch (const std::bad_alloc&) {
    result = -ENOMEM;
  } catch (const std::system_error& error) {
    result = error.code().value() > 0 ? -error.code().value() : -EIO;
  }
  if (result >= 0) return result;
  errno = static_cast<int>(-result);
  return -1;
}

SocketLayer* layer_of(void* userdata) {
  return static_cast<SocketLayer*>(userdata);
}

template <class Call>
long with(void* userdata, Call&& call) {
  // A table whose init failed: every call of it says so.
  if (userdata == nullptr) {
    errno = ENODEV;
    return -1;
  }
  return answer([&] { return call(*layer_of(userdata)); });
}

template <class Call>
int with_int(void* userdata, Call&& call) {
  return static_cast<int>(with(userdata, call));
}

/// A buffer as the one piece that it is.
std::array<iovec, 1> piece_of(const void* bytes, std::size_t size) {
  return {iovec{.iov_base = const_cast<void*>(bytes), .iov_len = size}};
}

template <class Use>
long with_pieces(const iovec* pieces, long count, Use&& use) {
  if (count < 0 || count > IOV_MAX) return -EINVAL;
  if (pieces == nullptr && count > 0) return -EFAULT;
  return use(std::span(pieces, static_cast<std::size_t>(count)));
}

// ---- the table's functions, in its order --------------------------------------------------------

void free_table(void* userdata) {
  SocketLayer* layer = layer_of(userdata);
  {
    const std::lock_guard lock(instances().mutex);
    std::erase(instances().layers, layer);
  }
  delete layer;
}

int socket(void* userdata, int domain, int type, int protocol) {
  return with_int(userdata,
                  [&](SocketLayer& layer) { return layer.socket(domain, type, protocol); });
}

int bind(void* userdata, int fd, const sockaddr* address, socklen_t bytes) {
  return with_int(userdata, [&](SocketLayer& layer) { return layer.bind(fd, address, bytes); });
}

int listen(void* userdata, int fd, int backlog) {
  return with_int(userdata, [&](SocketLayer& layer) { return layer.listen(fd, backlog); });
}

int accept(void* userdata, int fd, sockaddr* address, socklen_t* bytes) {
  return with_int(userdata, [&](SocketLayer& layer) { return layer.accept(fd, address, bytes); });
}

int connect(void* userdata, int fd, const sockaddr* address, socklen_t bytes) {
  return with_int(userdata, [&](SocketLayer& layer) { return layer.connect(fd, address, bytes); });
}

ssize_t read(void* userdata, int fd, void* into, size_t bytes) {
  return with(userdata,
              [&](SocketLayer& layer) { return layer.receive(fd, piece_of(into, bytes), 0); });
}

ssize_t readv(void* userdata, int fd, const iovec* pieces, int count) {
  return with(userdata, [&](SocketLayer& layer) {
    return with_pieces(pieces, count,
                       [&](std::span<const iovec> all) { return layer.receive(fd, all, 0); });
  });
}

ssize_t recv(void* userdata, int fd, void* into, size_t bytes, int flags) {
  return with(userdata,
              [&](SocketLayer& layer) { return layer.receive(fd, piece_of(into, bytes), flags); });
}

ssize_t recvfrom(void* userdata, int fd, void* into, size_t bytes, int flags, sockaddr* /*from*/,
                 socklen_t* from_bytes) {
  const ssize_t count = recv(userdata, fd, into, bytes, flags);
  if (count >= 0 && from_bytes != nullptr) *from_bytes = 0;  // TCP tells no address
  return count;
}

ssize_t recvmsg(void* userdata, int fd, msghdr* message, int flags) {
  return with(userdata,
              [&](SocketLayer& layer) { return layer.receive_message(fd, message, flags); });
}

ssize_t write(void* userdata, int fd, const void* from, size_t bytes) {
  return with(userdata, [&](SocketLayer& layer) {
    return layer.send(fd, piece_of(from, bytes), 0, nullptr);
  });
}

ssize_t writev(void* userdata, int fd, const iovec* pieces, int count) {
  return with(userdata, [&](SocketLayer& layer) {
    return with_pieces(pieces, count,
                       [&](std::span<const iovec> all) { return layer.send(fd, all, 0, nullptr); });
  });
}

ssize_t sendto(void* userdata, int fd, const void* from, size_t bytes, int flags,
               const sockaddr* to, socklen_t /*to_bytes*/) {
  return with(userdata,
              [&](SocketLayer& layer) { return layer.send(fd, piece_of(from, bytes), flags, to); });
}

ssize_t send(void* userdata, int fd, const void* from, size_t bytes, int flags) {
  return sendto(userdata, fd, from, bytes, flags, nullptr, 0);
}

ssize_t sendmsg(void* userdata, int fd, const msghdr* message, int flags) {
  return with(userdata, [&](SocketLayer& layer) -> long {
    if (message == nullptr) return -EFAULT;
    const auto* to = static_cast<const sockaddr*>(message->msg_name);
    return with_pieces(message->msg_iov, static_cast<long>(message->msg_iovlen),
                       [&](std::span<const iovec> all) { return layer.send(fd, all, flags, to); });
  });
}

int fcntl(void* userdata, int fd, int command, ...) {
  long argument = 0;
  if (command == F_SETFL || command == F_SETFD) {
    va_list arguments;
    va_start(arguments, command);
    argument = va_arg(arguments, int);
    va_end(arguments);
  }
  return with_int(userdata, [&](SocketLayer& layer) { return layer.fcntl(fd, command, argument); });
}

int ioctl(void* userdata, int fd, unsigned long request, ...) {
  va_list arguments;
  va_start(arguments, request);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  // packetdrill passes a request as an int: the upper half is nothing but its sign.
  const unsigned long number = request & 0xffffffffUL;
  return with_int(userdata, [&](SocketLayer& layer) { return layer.ioctl(fd, number, argument); });
}

int close(void* userdata, int fd) {
  return with_int(userdata, [&](SocketLayer& layer) { return layer.close(fd); });
}

int shutdown(void* userdata, int fd, int how) {
  return with_int(userdata, [&](SocketLayer& layer) { return layer.shutdown(fd, how); });
}

int getsockopt(void* userdata, int fd, int level, int name, void* value, socklen_t* bytes) {
  return with_int(userdata, [&](SocketLayer& layer) {
    return layer.getsockopt(fd, level, name, value, bytes);
  });
}

int setsockopt(void* userdata, int fd, int level, int name, const void* value, socklen_t bytes) {
  return with_int(userdata, [&](SocketLayer& layer) {
    return layer.setsockopt(fd, level, name, value, bytes);
  });
}

int poll(void* userdata, pollfd* fds, nfds_t count, int timeout_ms) {
  return with_int(userdata, [&](SocketLayer& layer) {
    return layer.poll({fds, count}, timeout_ms);
  });
}

int netdev_send(void* userdata, const void* packet, size_t bytes) {
  return with_int(userdata, [&](SocketLayer& layer) {
    return layer.netdev_send({static_cast<const std::byte*>(packet), bytes});
  });
}

int netdev_receive(void* userdata, void* packet, size_t* bytes, long long* time_us) {
  return with_int(userdata, [&](SocketLayer& layer) -> long {
    if (bytes == nullptr || time_us == nullptr) return -EFAULT;
    Time at;
    const std::span<std::byte> room(static_cast<std::byte*>(packet), *bytes);
    const long result = layer.netdev_receive(room, *bytes, at);
    if (result == 0) *time_us = at.ns / 1000;
    return result;
  });
}

int usleep(void* userdata, useconds_t us) {
  return with_int(userdata, [&](SocketLayer& layer) { return layer.sleep(microseconds(us)); });
}

int gettimeofday(void* userdata, timeval* now, struct timezone* zone) {
  return with_int(userdata, [&](SocketLayer& layer) -> long {
    if (now == nullptr) return -EFAULT;
    if (zone != nullptr) *zone = {};
    const std::int64_t us = layer.time().ns / 1000;
    *now = {.tv_sec = us / 1'000'000, .tv_usec = us % 1'000'000};
    return 0;
  });
}

int epoll_create(void* userdata, int size) {
  return with_int(userdata, [&](SocketLayer& layer) { return layer.epoll_create(size); });
}

int epoll_ctl(void* userdata, int epoll_fd, int operation, int fd, epoll_event* event) {
  return with_int(userdata, [&](SocketLayer& layer) {
    return layer.epoll_ctl(epoll_fd, operation, fd, event);
  });
}

int epoll_wait(void* userdata, int epoll_fd, epoll_event* events, int events_max, int timeout_ms) {
  return with_int(userdata, [&](SocketLayer& layer) -> long {
    if (events_max <= 0) return -EINVAL;
    return layer.epoll_wait(epoll_fd, {events, static_cast<std::size_t>(events_max)}, timeout_ms);
  });
}

// The engine splices files to connections; between descriptors of a kernel it cannot.
int pipe(void* userdata, int* /*fds*/) {
  return with_int(userdata, [](SocketLayer&) -> long { return -ENOSYS; });
}

int splice(void* userdata, int fd_in, loff_t* /*offset_in*/, int fd_out, loff_t* /*offset_out*/,
           size_t /*bytes*/, unsigned /*flags*/) {
  return with_int(userdata, [&](SocketLayer& layer) -> long {
    return layer.owns(fd_in) || layer.owns(fd_out) ? -EINVAL : -EBADF;
  });
}

packetdrill_interface table_for(SocketLayer* layer) {
  return {
      .userdata = layer,
      .free = free_table,
      .socket = socket,
      .bind = bind,
      .listen = listen,
      .accept = accept,
      .connect = connect,
      .read = read,
      .readv = readv,
      .recv = recv,
      .recvfrom = recvfrom,
      .recvmsg = recvmsg,
      .write = write,
      .writev = writev,
      .send = send,
      .sendto = sendto,
      .sendmsg = sendmsg,
      .fcntl = fcntl,
      .ioctl = ioctl,
      .close = close,
      .shutdown = shutdown,
      .getsockopt = getsockopt,
      .setsockopt = setsockopt,
      .poll = poll,
      .netdev_send = netdev_send,
      .netdev_receive = netdev_receive,
      .usleep = usleep,
      .gettimeofday = gettimeofday,
      .epoll_create = epoll_create,
      .epoll_ctl = epoll_ctl,
      .epoll_wait = epoll_wait,
      .pipe = pipe,
      .splice = splice,
  };
}

SocketLayer* make_layer(const char* flags) {
  const auto parsed = parse_flags(flags != nullptr ? flags : "");
  if (!parsed) {
    // There is no way to say so but this; the first call then fails with ENODEV.
    spdlog::error("{}", parsed.error().message());
    return nullptr;
  }
  spdlog::set_level(spdlog::level::warn);  // a script's output is its own
  auto* layer = new SocketLayer(*parsed);
  const std::lock_guard lock(instances().mutex);
  instances().layers.push_back(layer);
  return layer;
}

}  // namespace
}  // namespace strictsend::packetdrill

STRICTSEND_EXPORTED void packetdrill_interface_init(const char* flags,
                                                    packetdrill_interface* table) {
  using namespace strictsend::packetdrill;
  SocketLayer* layer = nullptr;
  answer([&] {
    layer = make_layer(flags);
    return 0L;
  });
  *table = table_for(layer);
}

/// packetdrill asks for the TCP_INFO that a script asserts with the C library's getsockopt, past
/// its own table. Preloaded, this object answers for its sockets, and for all others asks the
/// kernel.
STRICTSEND_EXPORTED int getsockopt(int fd, int level, int name, void* value,
                                   socklen_t* value_bytes) noexcept {
  using namespace strictsend::packetdrill;
  const std::lock_guard lock(instances().mutex);
  for (SocketLayer* layer : instances().layers) {
    if (layer->owns(fd)) {
      return static_cast<int>(
          answer([&] { return layer->getsockopt(fd, level, name, value, value_bytes); }));
    }
  }
  return static_cast<int>(::syscall(SYS_getsockopt, fd, level, name, value, value_bytes));
}
