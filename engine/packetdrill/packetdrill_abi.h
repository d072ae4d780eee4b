// SPDX-License-Identifier: Apache-2.0
// What packetdrill's --so_filename= expects of a shared object: a table of functions, which
// `packetdrill_interface_init` fills. The shapes only, written down by ourselves; the words are in
// engine/packetdrill/interface.cpp.
#pragma once

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>
#include <poll.h>

extern "C" {

/// Every function gets `userdata` first and answers as the system call of its name: -1 and errno.
struct packetdrill_interface {
  void* userdata;
  void (*free)(void*);
  int (*socket)(void*, int domain, int type, int protocol);
  int (*bind)(void*, int fd, const sockaddr* address, socklen_t address_bytes);
  int (*listen)(void*, int fd, int backlog);
  int (*accept)(void*, int fd, sockaddr* address, socklen_t* address_bytes);
  int (*connect)(void*, int fd, const sockaddr* address, socklen_t address_bytes);
  ssize_t (*read)(void*, int fd, void* into, size_t bytes);
  ssize_t (*readv)(void*, int fd, const iovec* pieces, int count);
  ssize_t (*recv)(void*, int fd, void* into, size_t bytes, int flags);
  ssize_t (*recvfrom)(void*, int fd, void* into, size_t bytes, int flags, sockaddr* from,
                      socklen_t* from_bytes);
  ssize_t (*recvmsg)(void*, int fd, msghdr* message, int flags);
  ssize_t (*write)(void*, int fd, const void* from, size_t bytes);
  ssize_t (*writev)(void*, int fd, const iovec* pieces, int count);
  ssize_t (*send)(void*, int fd, const void* from, size_t bytes, int flags);
  ssize_t (*sendto)(void*, int fd, const void* from, size_t bytes, int flags, const sockaddr* to,
                    socklen_t to_bytes);
  ssize_t (*sendmsg)(void*, int fd, const msghdr* message, int flags);
  int (*fcntl)(void*, int fd, int command, ...);
  int (*ioctl)(void*, int fd, unsigned long request, ...);
  int (*close)(void*, int fd);
  int (*shutdown)(void*, int fd, int how);
  int (*getsockopt)(void*, int fd, int level, int name, void* value, socklen_t* value_bytes);
  int (*setsockopt)(void*, int fd, int level, int name, const void* value, socklen_t value_bytes);
  int (*poll)(void*, pollfd* fds, nfds_t count, int timeout_ms);
  /// The script sends this IP packet to the stack. 0, or -1.
  int (*netdev_send)(void*, const void* packet, size_t bytes);
  /// The next IP packet that the stack has sent, and when. `bytes`: the room for it, then its
  /// length; 0: none came. 0, or -1.
  int (*netdev_receive)(void*, void* packet, size_t* bytes, long long* time_us);
  int (*usleep)(void*, useconds_t us);
  int (*gettimeofday)(void*, timeval* now, struct timezone* zone);
  int (*epoll_create)(void*, int size);
  int (*epoll_ctl)(void*, int epoll_fd, int operation, int fd, epoll_event* event);
  int (*epoll_wait)(void*, int epoll_fd, epoll_event* events, int events_max, int timeout_ms);
  int (*pipe)(void*, int fds[2]);
  int (*splice)(void*, int fd_in, loff_t* offset_in, int fd_out, loff_t* offset_out, size_t bytes,
                unsigned flags);
};

/// The one exported function. `flags` is what stood in --so_flags=, or null.
using packetdrill_interface_init_t = void (*)(const char* flags, packetdrill_interface* table);

}  // extern "C"

// It is another program's: nothing may move.
static_assert(offsetof(packetdrill_interface, userdata) == 0 * sizeof(void*));
static_assert(offsetof(packetdrill_interface, free) == 1 * sizeof(void*));
static_assert(offsetof(packetdrill_interface, socket) == 2 * sizeof(void*));
static_assert(offsetof(packetdrill_interface, accept) == 5 * sizeof(void*));
static_assert(offsetof(packetdrill_interface, read) == 7 * sizeof(void*));
static_assert(offsetof(packetdrill_interface, recvmsg) == 11 * sizeof(void*));
static_assert(offsetof(packetdrill_interface, write) == 12 * sizeof(void*));
static_assert(offsetof(packetdrill_interface, sendmsg) == 16 * sizeof(void*));
static_assert(offsetof(packetdrill_interface, fcntl) == 17 * sizeof(void*));
static_assert(offsetof(packetdrill_interface, close) == 19 * sizeof(void*));
static_assert(offsetof(packetdrill_interface, getsockopt) == 21 * sizeof(void*));
static_assert(offsetof(packetdrill_interface, poll) == 23 * sizeof(void*));
static_assert(offsetof(packetdrill_interface, netdev_send) == 24 * sizeof(void*));
static_assert(offsetof(packetdrill_interface, netdev_receive) == 25 * sizeof(void*));
static_assert(offsetof(packetdrill_interface, usleep) == 26 * sizeof(void*));
static_assert(offsetof(packetdrill_interface, gettimeofday) == 27 * sizeof(void*));
static_assert(offsetof(packetdrill_interface, epoll_create) == 28 * sizeof(void*));
static_assert(offsetof(packetdrill_interface, pipe) == 31 * sizeof(void*));
static_assert(offsetof(packetdrill_interface, splice) == 32 * sizeof(void*));
static_assert(sizeof(packetdrill_interface) == 33 * sizeof(void*));
