// SPDX-License-Identifier: Apache-2.0
#include "nic/af_xdp/queue_probe.hpp"

#include <net/if.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <poll.h>
#include <utility>

#include "base/page.hpp"
#include "nic/af_xdp/socket.hpp"

namespace strictsend::nic::af_xdp {

void QueueProbe::Unmap::operator()(std::byte* page) const {
  ::munmap(page, page_bytes);
}

Result<QueueProbe> QueueProbe::open(std::uint32_t interface_index, std::uint32_t queue) {
  // The smallest socket that can be bound: one page of its own as UMEM, rings of one entry.
  void* mapped = ::mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (mapped == MAP_FAILED) return fail("memory for watching a queue", errno);
  std::unique_ptr<std::byte, Unmap> page(static_cast<std::byte*>(mapped));
  Result<UniqueFd> socket = open_socket();
  if (!socket) return tl::unexpected(socket.error());
  const DmaMemory memory{page.get(), page_bytes, -1, {}, {}};
  if (auto done = register_umem(socket->get(), memory, false); !done) {
    return tl::unexpected(done.error());
  }
  const std::uint32_t one = 1;
  for (const int option : {XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING}) {
    if (::setsockopt(socket->get(), SOL_XDP, option, &one, sizeof one) != 0) {
      return fail("rings for watching a queue", errno);
    }
  }
  return QueueProbe(interface_index, queue, std::move(*socket), std::move(page));
}

bool QueueProbe::is_free() {
  if (!socket_.valid()) return true;
  SocketConfig config;
  config.interface_index = interface_index_;
  config.queue = queue_;
  // ENODEV: the interface is gone, and with it whatever it copied. Every other error, ENOMEM say,
  // comes before the kernel has looked and proves nothing.
  const int error = bind_to_queue(socket_.get(), config);
  if (error != 0 && error != ENODEV) return false;
  socket_.reset();  // it holds the queue now
  return true;
}

bool QueueProbe::is_interface_gone() const {
  std::array<char, IF_NAMESIZE> name{};
  return ::if_indextoname(interface_index_, name.data()) == nullptr && errno == ENXIO;
}

bool QueueProbe::wait(Duration limit) {
  const Time deadline = monotonic_now() + limit;
  while (!is_free()) {
    if (monotonic_now() >= deadline) return false;
    ::poll(nullptr, 0, 1);
  }
  return true;
}

}  // namespace strictsend::nic::af_xdp
