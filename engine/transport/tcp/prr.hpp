// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

namespace strictsend::tcp {

/// Proportional rate reduction: how much may be sent for each acknowledgement while the window
/// comes down to ssthresh. RFC 6937 §3, and as RFC 9937 has it: the window rises in slow start only
/// on acknowledgements that move SND.UNA and tell of no further loss. Owned by its Sender; pure.
class Prr {
 public:
  /// `flight_bytes`: outstanding at the start of recovery (RecoverFS).
  void begin(std::uint32_t flight_bytes) {
    recover_flight_ = std::max(flight_bytes, 1U);
    delivered_ = out_ = 0;
  }
  void sent(std::uint32_t bytes) { out_ += bytes; }

  /// The window that this acknowledgement allows. `pipe_bytes`: in flight after it.
  [[nodiscard]] std::uint32_t on_ack(std::uint32_t delivered_bytes, std::uint32_t pipe_bytes,
                                     std::uint32_t ssthresh_bytes, std::uint32_t mss_bytes,
                                     bool safe) {
    delivered_ += delivered_bytes;
    std::uint64_t allowed = 0;
    if (pipe_bytes > ssthresh_bytes) {
      const std::uint64_t share =
          (delivered_ * ssthresh_bytes + recover_flight_ - 1) / recover_flight_;
      allowed = share > out_ ? share - out_ : 0;
    } else {
      std::uint64_t limit =
          std::max<std::uint64_t>(delivered_ > out_ ? delivered_ - out_ : 0, delivered_bytes);
      if (safe) limit += mss_bytes;
      allowed = std::min<std::uint64_t>(ssthresh_bytes - pipe_bytes, limit);
    }
    if (out_ == 0) allowed = std::max<std::uint64_t>(allowed, mss_bytes);  // the fast retransmit
    return static_cast<std::uint32_t>(pipe_bytes + allowed);
  }

 private:
  std::uint64_t delivered_ = 0;
  std::uint64_t out_ = 0;
  std::uint32_t recover_flight_ = 1;
};

}  // namespace strictsend::tcp
