// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/assert.hpp"
#include "base/result.hpp"
#include "nic/af_xdp/kernel_abi.hpp"

namespace strictsend::nic::af_xdp {

/// The mapping of one ring of an AF_XDP socket (Documentation/networking/af_xdp.rst "Rings"):
///
///     offsets.producer ─▶ u32, written by the producing side
///     offsets.consumer ─▶ u32, written by the consuming side
///     offsets.flags    ─▶ u32, written by the kernel: need-wakeup
///     offsets.desc     ─▶ entries of the ring
///
/// Both indices run freely and are taken modulo the size, a power of two. The producer's store
/// releases, the consumer's load acquires, so entries are seen complete (kernel
/// net/xdp/xsk_queue.h, barriers B and C); a consumer's store releases so that an entry is not
/// overwritten before it was read (D).
///
/// A mapping keeps the socket open, whatever happens to its descriptor.
class RingMapping {
 public:
  static Result<RingMapping> map(int socket_fd, const xdp_ring_offset& offsets,
                                 std::uint64_t page_offset, std::uint32_t size_entries,
                                 std::size_t entry_bytes);

  RingMapping() = default;
  RingMapping(RingMapping&& other) noexcept { *this = std::move(other); }
  RingMapping& operator=(RingMapping&& other) noexcept;
  RingMapping(const RingMapping&) = delete;
  RingMapping& operator=(const RingMapping&) = delete;
  ~RingMapping() { unmap(); }

  std::uint32_t* producer = nullptr;
  std::uint32_t* consumer = nullptr;
  const std::uint32_t* flags = nullptr;
  void* entries = nullptr;
  std::uint32_t size_entries = 0;

 private:
  void unmap() noexcept;

  void* base_ = nullptr;
  std::size_t mapped_bytes_ = 0;
};

/// A ring that we fill and the kernel empties: TX (xdp_desc) and fill (frame addresses).
/// Engine thread only.
template <class Entry>
class ProducerRing {
 public:
  ProducerRing() = default;
  explicit ProducerRing(RingMapping mapping) : ring_(std::move(mapping)) {}

  [[nodiscard]] std::uint32_t size() const { return ring_.size_entries; }
  /// Entries that the kernel has not consumed yet, as far as it has said so.
  [[nodiscard]] std::uint32_t pending() const {
    return produced_ - __atomic_load_n(ring_.consumer, __ATOMIC_ACQUIRE);
  }
  /// Writes one entry; not seen by the kernel before `publish`. The caller knows that it has room.
  void put(const Entry& entry) {
    STRICTSEND_DEBUG_ASSERT(pending() < ring_.size_entries);
    static_cast<Entry*>(ring_.entries)[produced_ & (ring_.size_entries - 1)] = entry;
    ++produced_;
  }
  void publish() { __atomic_store_n(ring_.producer, produced_, __ATOMIC_RELEASE); }
  /// The kernel asks to be woken for what it will find here.
  [[nodiscard]] bool needs_wakeup() const {
    return (__atomic_load_n(ring_.flags, __ATOMIC_RELAXED) & XDP_RING_NEED_WAKEUP) != 0;
  }

 private:
  RingMapping ring_;
  std::uint32_t produced_ = 0;  ///< the one truth of the producer index; *producer follows it
};

/// A ring that the kernel fills and we empty: RX (xdp_desc) and completion (frame addresses).
/// Engine thread only.
template <class Entry>
class ConsumerRing {
 public:
  ConsumerRing() = default;
  explicit ConsumerRing(RingMapping mapping) : ring_(std::move(mapping)) {}

  [[nodiscard]] std::uint32_t size() const { return ring_.size_entries; }
  [[nodiscard]] std::uint32_t available() const {
    return __atomic_load_n(ring_.producer, __ATOMIC_ACQUIRE) - consumed_;
  }
  /// The next entry; the caller knows that there is one.
  Entry take() {
    return static_cast<const Entry*>(ring_.entries)[consumed_++ & (ring_.size_entries - 1)];
  }
  /// Gives the taken entries' places back to the kernel.
  void release() { __atomic_store_n(ring_.consumer, consumed_, __ATOMIC_RELEASE); }

 private:
  RingMapping ring_;
  std::uint32_t consumed_ = 0;  ///< the one truth of the consumer index; *consumer follows it
};

}  // namespace strictsend::nic::af_xdp
