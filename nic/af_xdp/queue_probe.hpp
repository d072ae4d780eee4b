// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace strictsend::nic::af_xdp {

/// Finds out whether the kernel has let go of a queue whose socket was closed: no transmission of
/// it is in flight, and its driver has stopped using the UMEM.
///
/// Closing a socket only begins that. In copy mode each sk_buff in flight keeps a reference to the
/// socket (sock_wfree), where the device takes pages without copying (IFF_TX_SKB_NO_LINEAR, as
/// virtio_net) to the UMEM's pages too; the buffer pool, and with it the driver's zero-copy queue,
/// is taken down by a work item after the last reference (net/xdp/xsk_buff_pool.c xp_put_pool,
/// xp_release_deferred). Until then the queue id stays taken, so being able to bind a socket of
/// our own to it proves that all of that is over. The converse does not hold: another program may
/// have taken the queue meanwhile, and then it is not known to be free for as long as that lasts.
///
/// Everything it needs is made by `open`, so that a process that has run out of descriptors or
/// memory can still stop. One thread at a time.
class QueueProbe {
 public:
  static Result<QueueProbe> open(std::uint32_t interface_index, std::uint32_t queue);

  /// One look, one system call; once true it stays true.
  [[nodiscard]] bool is_free();
  /// Whether the interface itself was removed, or moved to another network namespace.
  [[nodiscard]] bool is_interface_gone() const;
  /// Looks with short sleeps between; false: `limit` passed.
  [[nodiscard]] bool wait(Duration limit);

 private:
  struct Unmap {
    void operator()(std::byte* page) const;
  };

  QueueProbe(std::uint32_t interface_index, std::uint32_t queue, UniqueFd socket,
             std::unique_ptr<std::byte, Unmap> page)
      : interface_index_(interface_index),
        queue_(queue),
        page_(std::move(page)),
        socket_(std::move(socket)) {}

  std::uint32_t interface_index_;
  std::uint32_t queue_;
  std::unique_ptr<std::byte, Unmap> page_;  ///< the smallest UMEM
  UniqueFd socket_;                         ///< invalid once the queue was found free
};

}  // namespace strictsend::nic::af_xdp
