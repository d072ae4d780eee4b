// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstdint>

namespace strictsend::tcp {

/// What an acknowledgement outside fast recovery tells a congestion control.
struct CongestionAck {
  std::uint32_t acked_bytes = 0;        ///< newly acknowledged
  std::uint32_t flight_peak_bytes = 0;  ///< most that was outstanding at once in the last window
  bool after_timeout = false;  ///< what was outstanding at the last timeout is not yet covered
};

/// What an algorithm must answer. The sender holds the one in use by value and touches it through
/// these only: no heap, no virtual call.
template <class Algorithm>
concept CongestionAlgorithm = requires(Algorithm algorithm, const Algorithm constant,
                                       const CongestionAck ack, std::uint32_t flight_bytes) {
  { constant.cwnd_bytes() } -> std::same_as<std::uint32_t>;
  { constant.ssthresh_bytes() } -> std::same_as<std::uint32_t>;
  { constant.restart_window_bytes() } -> std::same_as<std::uint32_t>;
  algorithm.on_ack(ack);
  algorithm.on_loss(flight_bytes);           // fast retransmit: sets ssthresh
  algorithm.on_recovered(flight_bytes);      // everything outstanding at the loss is acknowledged
  algorithm.on_timeout(flight_bytes, true);  // the timer: back to one segment
  algorithm.on_idle();                 // RFC 5681 §4.1, before the first segment after a pause
  algorithm.start_with_one_segment();  // the handshake met loss
};

}  // namespace strictsend::tcp
