// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "nic/af_xdp/ring.hpp"
#include "nic/port.hpp"

namespace strictsend::nic::af_xdp {

/// How one socket is bound.
struct SocketConfig {
  std::uint32_t interface_index = 0;
  std::uint32_t queue = 0;
  std::uint32_t ring_entries = 0;       ///< of TX, RX and completion ring; a power of two
  std::uint32_t fill_ring_entries = 0;  ///< a power of two; holds every receive frame
  bool zero_copy = false;               ///< false: copy mode
  bool multi_buffer = false;            ///< XDP_USE_SG
  bool tx_metadata = false;             ///< XDP_UMEM_TX_METADATA_LEN; of the socket with the UMEM
  std::uint32_t busy_poll_us = 0;       ///< SO_BUSY_POLL with SO_PREFER_BUSY_POLL; 0: off
  int umem_owner_fd = -1;               ///< a bound socket whose UMEM is shared; -1: own UMEM
};

/// An AF_XDP socket with its four rings, bound to one queue of one interface. Made complete or not
/// at all.
///
/// The UMEM is the whole DMA memory in unaligned chunks of one page: descriptors then name any
/// byte of it. The kernel pins its pages until the last socket that uses it is gone, so the memory
/// may be unmapped earlier but not reused by the system.
class Socket {
 public:
  /// Frames [fill_begin, fill_end) of `memory` are given to the fill ring before binding, because
  /// zero-copy drivers take their first receive buffers then.
  static Result<Socket> open(const SocketConfig& config, const DmaMemory& memory,
                             FrameIndex fill_begin, FrameIndex fill_end);

  Socket(Socket&&) noexcept = default;
  Socket& operator=(Socket&&) noexcept = default;
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() = default;

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] bool is_zero_copy() const { return zero_copy_; }
  /// Descriptors that one sendto sends at most, in copy mode.
  [[nodiscard]] std::uint32_t tx_budget() const { return tx_budget_; }
  /// Gives the queue back. The rings are unmapped too, for each mapping keeps the socket open.
  void close();

  ProducerRing<xdp_desc> tx;
  ProducerRing<std::uint64_t> fill;
  ConsumerRing<xdp_desc> rx;
  ConsumerRing<std::uint64_t> completion;

 private:
  Socket() = default;

  UniqueFd fd_;
  bool zero_copy_ = false;
  std::uint32_t tx_budget_ = 0;
};

/// Steps of opening that are of use alone. An errno, or 0; `open_socket` names what is missing.
Result<UniqueFd> open_socket();
Result<void> register_umem(int fd, const DmaMemory& memory, bool tx_metadata);
[[nodiscard]] int bind_to_queue(int fd, const SocketConfig& config);

}  // namespace strictsend::nic::af_xdp
