// SPDX-License-Identifier: Apache-2.0
#include "nic/af_xdp/socket.hpp"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cerrno>
#include <poll.h>
#include <string>
#include <utility>

// Constants that Debian 12's C library does not define yet (asm-generic/socket.h, Linux 5.11).
#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#endif
#ifndef SO_BUSY_POLL_BUDGET
#define SO_BUSY_POLL_BUDGET 70
#endif

namespace strictsend::nic::af_xdp {
namespace {

/// Enough for a full ring of page fragments in flight: copy mode charges each to the send buffer.
constexpr int send_buffer_bytes = 64 << 20;
constexpr int busy_poll_budget = 64;

std::string memory_limit_hint(std::uint64_t size_bytes) {
  rlimit limit{};
  ::getrlimit(RLIMIT_MEMLOCK, &limit);
  if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= size_bytes)
    return "the kernel could not pin " + std::to_string(size_bytes >> 20) +
           " MiB: is that much memory free?";
  return "RLIMIT_MEMLOCK " + std::to_string(limit.rlim_cur >> 10) + " KiB < " +
         std::to_string(size_bytes >> 10) +
         " KiB; run as root (CAP_IPC_LOCK), or raise it with ulimit -l";
}

Result<void> set_ring_size(int fd, int option, std::uint32_t entries, const char* name) {
  if (::setsockopt(fd, SOL_XDP, option, &entries, sizeof entries) == 0) return {};
  return fail(
      std::string("setting the size of the ") + name + " ring to " + std::to_string(entries), errno,
      "ring sizes are powers of two");
}

/// Raised where the kernel allows it (CAP_NET_ADMIN); a smaller buffer only makes kicks busy.
void raise_send_buffer(int fd) {
  ::setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &send_buffer_bytes, sizeof send_buffer_bytes);
}

/// Lets one sendto send a whole ring, where the kernel can (6.17). Returns what it sends now.
std::uint32_t raise_tx_budget(int fd, std::uint32_t ring_entries) {
  constexpr std::uint32_t kernel_default = 32;  // TX_BATCH_SIZE
  const bool raised =
      ::setsockopt(fd, SOL_XDP, abi::option_max_tx_budget, &ring_entries, sizeof ring_entries) == 0;
  return raised ? ring_entries : kernel_default;
}

Result<void> set_busy_poll(int fd, std::uint32_t busy_poll_us) {
  const int prefer = 1;
  const auto time_us = static_cast<int>(busy_poll_us);
  if (::setsockopt(fd, SOL_SOCKET, SO_PREFER_BUSY_POLL, &prefer, sizeof prefer) != 0 ||
      ::setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL, &time_us, sizeof time_us) != 0 ||
      ::setsockopt(fd, SOL_SOCKET, SO_BUSY_POLL_BUDGET, &busy_poll_budget,
                   sizeof busy_poll_budget) != 0)
    return fail("switching busy polling on", errno, "it needs Linux 5.11 and CAP_NET_ADMIN");
  return {};
}

std::string bind_hint(int error, const SocketConfig& config) {
  const std::string queue = "queue " + std::to_string(config.queue);
  switch (error) {
    case EBUSY:
      return queue +
             " is taken by another AF_XDP socket: stop that program, or choose another queue";
    case EINVAL:
      return queue + " does not exist, or the kernel knows none of the requested modes";
    case ENODEV:
      return "the interface is gone";
    case ENETDOWN:
      return "the interface is down: bring it up with ip link set … up";
    case EOPNOTSUPP:
      return config.zero_copy ? "its driver has no zero-copy mode" : "its driver has no AF_XDP";
    default:
      return {};
  }
}

/// A queue stays taken for a moment after its last socket was closed or its process killed
/// (queue_probe.hpp says why), so EBUSY is asked again for that long.
constexpr int busy_retries = 400;
constexpr int busy_retry_ms = 5;

Result<void> bind_socket(int fd, const SocketConfig& config) {
  int error = bind_to_queue(fd, config);
  for (int retry = 0; error == EBUSY && retry < busy_retries; ++retry) {
    ::poll(nullptr, 0, busy_retry_ms);
    error = bind_to_queue(fd, config);
  }
  if (error == 0) return {};
  return fail("binding to queue " + std::to_string(config.queue), error, bind_hint(error, config));
}

}  // namespace

Result<UniqueFd> open_socket() {
  UniqueFd fd(::socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (fd.valid()) return fd;
  switch (errno) {
    case EAFNOSUPPORT:
      return fail("opening an AF_XDP socket", errno,
                  "this kernel is built without AF_XDP; it needs CONFIG_XDP_SOCKETS=y");
    case EPERM:
      return fail("opening an AF_XDP socket", errno,
                  "it needs CAP_NET_RAW, and the XDP program more: run as root, or grant them "
                  "with setcap cap_net_raw,cap_net_admin,cap_sys_admin,cap_ipc_lock=ep");
    default:
      return fail("opening an AF_XDP socket", errno);
  }
}

Result<void> register_umem(int fd, const DmaMemory& memory, bool tx_metadata) {
  abi::UmemRegistration registration;
  registration.addr = reinterpret_cast<std::uintptr_t>(memory.base);
  registration.len = memory.size_bytes;
  registration.chunk_size = page_bytes;
  registration.flags = XDP_UMEM_UNALIGNED_CHUNK_FLAG;
  if (tx_metadata) {
    registration.flags |= abi::umem_tx_metadata;
    registration.tx_metadata_len = sizeof(abi::TxMetadata);
  }
  if (::setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &registration, sizeof registration) == 0) return {};
  switch (errno) {
    case ENOBUFS:  // xdp_umem_account_pages
    case ENOMEM:
      return fail("UMEM registration", errno, memory_limit_hint(memory.size_bytes));
    case EFAULT:
      return fail("UMEM registration", errno,
                  "the kernel could not pin every page for writing: is the memory mapped writable, "
                  "and not write-protected yet? Register first, protect after");
    case EINVAL:
      return fail("UMEM registration", errno,
                  tx_metadata ? "no transmit metadata before Linux 6.8"
                              : "memory and size must be whole pages");
    default:
      return fail("UMEM registration", errno);
  }
}

int bind_to_queue(int fd, const SocketConfig& config) {
  sockaddr_xdp address{};
  address.sxdp_family = AF_XDP;
  address.sxdp_ifindex = config.interface_index;
  address.sxdp_queue_id = config.queue;
  if (config.umem_owner_fd >= 0) {
    // Mode and wakeup are the owner's; the kernel refuses them here (xsk_bind).
    address.sxdp_flags = XDP_SHARED_UMEM;
    address.sxdp_shared_umem_fd = static_cast<std::uint32_t>(config.umem_owner_fd);
  } else {
    address.sxdp_flags = XDP_USE_NEED_WAKEUP;
    address.sxdp_flags |= static_cast<std::uint16_t>(config.zero_copy ? XDP_ZEROCOPY : XDP_COPY);
    if (config.multi_buffer) address.sxdp_flags |= abi::bind_multi_buffer;
  }
  return ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
}

Result<Socket> Socket::open(const SocketConfig& config, const DmaMemory& memory,
                            FrameIndex fill_begin, FrameIndex fill_end) {
  Result<UniqueFd> opened = open_socket();
  if (!opened) return tl::unexpected(opened.error());
  const int fd = opened->get();
  if (config.umem_owner_fd < 0)
    if (auto done = register_umem(fd, memory, config.tx_metadata); !done)
      return tl::unexpected(done.error());

  struct Ring {
    int option;
    std::uint32_t entries;
    const char* name;
  };
  for (const Ring& ring :
       {Ring{XDP_UMEM_FILL_RING, config.fill_ring_entries, "fill"},
        Ring{XDP_UMEM_COMPLETION_RING, config.ring_entries, "completion"},
        Ring{XDP_RX_RING, config.ring_entries, "RX"}, Ring{XDP_TX_RING, config.ring_entries, "TX"}})
    if (auto done = set_ring_size(fd, ring.option, ring.entries, ring.name); !done)
      return tl::unexpected(done.error());
  raise_send_buffer(fd);
  if (config.busy_poll_us > 0)
    if (auto done = set_busy_poll(fd, config.busy_poll_us); !done)
      return tl::unexpected(done.error());

  xdp_mmap_offsets offsets{};
  socklen_t offsets_bytes = sizeof offsets;
  if (::getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, &offsets, &offsets_bytes) != 0)
    return fail("asking for the layout of the rings", errno);
  auto fill = RingMapping::map(fd, offsets.fr, XDP_UMEM_PGOFF_FILL_RING, config.fill_ring_entries,
                               sizeof(std::uint64_t));
  auto completion = RingMapping::map(fd, offsets.cr, XDP_UMEM_PGOFF_COMPLETION_RING,
                                     config.ring_entries, sizeof(std::uint64_t));
  auto rx =
      RingMapping::map(fd, offsets.rx, XDP_PGOFF_RX_RING, config.ring_entries, sizeof(xdp_desc));
  auto tx =
      RingMapping::map(fd, offsets.tx, XDP_PGOFF_TX_RING, config.ring_entries, sizeof(xdp_desc));
  for (const auto* ring : {&fill, &completion, &rx, &tx})
    if (!*ring) return tl::unexpected(ring->error());

  Socket socket;
  socket.tx_budget_ = raise_tx_budget(fd, config.ring_entries);
  socket.fill = ProducerRing<std::uint64_t>(std::move(*fill));
  socket.completion = ConsumerRing<std::uint64_t>(std::move(*completion));
  socket.rx = ConsumerRing<xdp_desc>(std::move(*rx));
  socket.tx = ProducerRing<xdp_desc>(std::move(*tx));
  for (FrameIndex frame = fill_begin; frame.value < fill_end.value; ++frame)
    socket.fill.put(offset_of(frame).value);
  socket.fill.publish();

  if (auto done = bind_socket(fd, config); !done) return tl::unexpected(done.error());
  xdp_options options{};
  socklen_t options_bytes = sizeof options;
  if (::getsockopt(fd, SOL_XDP, XDP_OPTIONS, &options, &options_bytes) == 0)
    socket.zero_copy_ = (options.flags & XDP_OPTIONS_ZEROCOPY) != 0;
  socket.fd_ = std::move(*opened);
  return socket;
}

void Socket::close() {
  tx = {};
  fill = {};
  rx = {};
  completion = {};
  fd_.reset();
}

}  // namespace strictsend::nic::af_xdp
