// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <rte_mbuf.h>
#include <span>

#include "nic/port.hpp"

namespace strictsend::nic::dpdk {

class TxRecords;

/// One packet in DPDK's hands: the shared info that all of its mbufs refer to, and which packet of
/// the engine's it is.
///
///             take           free callback, collected
///     idle ─────────▶ out ─────────────────────────────▶ idle     completes the packet
///                      │ complete_all: descriptor status, or the device is gone: completes it
///                      ▼
///                   let_go ──── free callback, collected ──▶ idle     says nothing more
///
/// The shared info is DPDK's until the callback, whatever a descriptor's status says: a record is
/// used again only after it. So a cookie that was completed by status may be out again, in another
/// record, when the callback of the first one comes.
struct TxRecord {
  enum class State : std::uint8_t { idle, out, let_go };

  rte_mbuf_ext_shared_info shared{};
  TxRecords* owner = nullptr;
  TxRecord* next_freed = nullptr;  ///< in the list of those called back
  TxRecord* out_prev = nullptr;    ///< in the list of those out
  TxRecord* out_next = nullptr;
  /// Advanced by each take; the engine thread's, read by the callback of that very take.
  std::uint32_t generation = 0;
  /// The generation called back last: a second callback for it is a fault.
  std::atomic<std::uint32_t> freed_generation = 0;
  std::uint32_t cookie = 0;
  State state = State::idle;
  TxStatus status = TxStatus::sent;
};

/// The completion truth of one queue: every packet is completed once, when the device is proven to
/// be done with its memory.
///
/// Engine thread, but for the free callback, which DPDK runs wherever the last mbuf is freed: in
/// tx_burst, while the port stops, on the thread of whoever consumes a net_ring. It pushes the
/// record to a list (release), from which the engine thread takes all (acquire). Nothing allocates
/// after creation. Records that are still with DPDK at the end are kept until the process ends.
class TxRecords {
 public:
  explicit TxRecords(std::uint32_t count);
  TxRecords(const TxRecords&) = delete;
  TxRecords& operator=(const TxRecords&) = delete;
  ~TxRecords();

  /// A record for a packet of `segments` mbufs, all of which will be attached to its `shared`;
  /// nullptr while every one is out.
  [[nodiscard]] TxRecord* take(std::uint32_t cookie, std::uint16_t segments);
  /// Gives back one to which nothing was attached after all.
  void put_back(TxRecord& record);

  /// Fills in completions by callback; what does not fit waits for the next call.
  std::size_t collect(std::span<TxCompletion> completions);
  /// The device has let go of all that was handed out: completes what is out, oldest first, as far
  /// as it fits.
  std::size_t complete_all(std::span<TxCompletion> completions, TxStatus status);

  /// Packets not completed yet.
  [[nodiscard]] std::uint32_t outstanding() const { return outstanding_; }
  /// Records that wait for their callback: those outstanding, and those completed otherwise.
  [[nodiscard]] std::uint32_t with_dpdk() const { return count_ - idle_count_; }
  /// Second callbacks for one packet: a fault of the driver.
  [[nodiscard]] std::uint64_t unexpected() const {
    return unexpected_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t memory_bytes() const {
    return std::uint64_t{count_} * (sizeof(TxRecord) + sizeof(std::uint32_t));
  }

 private:
  static void on_free(void* address, void* opaque);
  void push_idle(TxRecord& record);
  void unlink(TxRecord& record);

  const std::uint32_t count_;
  std::unique_ptr<TxRecord[]> records_;
  std::unique_ptr<std::uint32_t[]> idle_;  ///< a stack of indices
  std::uint32_t idle_count_ = 0;
  TxRecord* oldest_out_ = nullptr;
  TxRecord* newest_out_ = nullptr;
  std::uint32_t outstanding_ = 0;
  std::atomic<TxRecord*> freed_ = nullptr;  ///< called back, not yet taken; pushed by any thread
  TxRecord* taken_ = nullptr;               ///< taken from `freed_`, not yet collected
  std::atomic<std::uint64_t> unexpected_ = 0;
};

}  // namespace strictsend::nic::dpdk
