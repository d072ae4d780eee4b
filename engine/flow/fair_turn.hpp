// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

namespace strictsend::engine {

/// A flow's share of the port where several have something to send: deficit round robin (Shreedhar
/// and Varghese 1996), in bytes on the wire, so that small segments and chains of 64 KiB get the
/// same. A turn may overdraw by the rest of one segment, as segments are not known beforehand; what
/// it owes is taken off the next ones.
class FairTurn {
 public:
  /// Half of the longest chain: a flow of such sits out a round now and then, one of packets sends
  /// some twenty.
  static constexpr std::int64_t quantum_bytes = 32 << 10;
  /// What a packet takes of the wire beside its payload, about.
  static constexpr std::int64_t packet_bytes = 64;

  /// The flow's turn has come, or goes on after an interruption. False: it has had this one
  /// already.
  [[nodiscard]] bool begin() {
    if (left_bytes_ <= 0) left_bytes_ += quantum_bytes;
    return goes_on();
  }
  [[nodiscard]] bool goes_on() const { return left_bytes_ > 0; }
  void sent(std::uint32_t payload_bytes, std::uint32_t packets) {
    left_bytes_ -= payload_bytes + packets * packet_bytes;
  }
  /// It has nothing to send. What it left is not saved up, what it owes stays.
  void give_up() { left_bytes_ = std::min<std::int64_t>(left_bytes_, 0); }

 private:
  std::int64_t left_bytes_ = 0;
};

}  // namespace strictsend::engine
