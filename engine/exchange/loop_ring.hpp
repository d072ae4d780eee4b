// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.hpp"
#include "engine/exchange/hand_over.hpp"
#include "engine/exchange/wake_up.hpp"

namespace strictsend::engine {

/// What the loops of one engine, one for each NIC queue, have in common: the order in which they
/// hand segments on, each one's wake-up, and whether the device is to stop as a whole.
///
///     loop 0 ──hand over──▶ loop 1 ──hand over──▶ … ──hand over──▶ loop 0
///
/// A segment of a connection that a loop does not know goes on until a loop knows it, or until it
/// is back on the loop on whose queue it arrived. A NIC that hashes addresses and ports never needs
/// that. But a virtual one takes the queue from the sender's socket, and Linux gives a socket
/// another hash after a retransmission time-out (sk_rethink_txhash), so that a connection's packets
/// come to another queue from then on.
///
/// Owned by the engine; outlives its loops. A ring of one hands nothing over.
class LoopRing {
 public:
  static Result<std::unique_ptr<LoopRing>> create(std::uint32_t loops,
                                                  std::uint32_t frame_bytes_max);

  [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(members_.size()); }
  [[nodiscard]] WakeUp& wake_up(std::uint32_t loop) { return members_[loop]->wake_up; }
  /// What is handed to this loop by the one before it, nullptr where it is alone. Its consumer is
  /// this loop.
  [[nodiscard]] HandOver* into(std::uint32_t loop) { return members_[loop]->inbox.get(); }
  /// What this loop hands to the next one.
  [[nodiscard]] HandOver* out_of(std::uint32_t loop) { return into(next_of(loop)); }

  /// The device has failed under a loop, and it stops only as a whole: called by that loop before
  /// it stops its own queue, and so by one after the other, each of which wakes the next.
  void stop_device(std::uint32_t loop) {
    device_stops_.store(true, std::memory_order_seq_cst);
    wake_up(next_of(loop)).wake();
  }
  [[nodiscard]] bool device_stops() const { return device_stops_.load(std::memory_order_seq_cst); }

  [[nodiscard]] std::uint64_t memory_bytes() const;

 private:
  struct Member {
    explicit Member(UniqueFd event_fd) : wake_up(std::move(event_fd)) {}
    WakeUp wake_up;
    std::unique_ptr<HandOver> inbox;
  };

  LoopRing() = default;
  [[nodiscard]] std::uint32_t next_of(std::uint32_t loop) const { return (loop + 1) % size(); }

  std::vector<std::unique_ptr<Member>> members_;
  std::atomic<bool> device_stops_ = false;  ///< written once, by any loop
};

}  // namespace strictsend::engine
