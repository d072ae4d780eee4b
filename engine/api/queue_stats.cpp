// SPDX-License-Identifier: Apache-2.0
#include "base/assert.hpp"
#include "engine/api/engine_impl.hpp"

namespace strictsend {

QueueStats Engine::Impl::queue_stats(std::uint32_t queue) const {
  STRICTSEND_ASSERT(queue < threads_.size());
  const engine::LoopThread& thread = *threads_[queue];
  const engine::LoopCounters& loop = thread.loop().counters();
  const nic::QueueCounters nic = thread.nic_counters();
  return {.connections_accepted = loop.connections_accepted.get(),
          .connections_refused = loop.connections_refused.get(),
          .connections_open = loop.connections_open.get(),
          .segments_sent = loop.segments_sent.get(),
          .segments_retransmitted = loop.segments_retransmitted.get(),
          .segments_received = loop.segments_received.get(),
          .segments_invalid = loop.segments_invalid.get(),
          .segments_handed_over = loop.segments_handed_over.get(),
          .segments_hand_over_dropped = loop.segments_hand_over_dropped.get(),
          .path_mtu_messages = loop.path_mtu_messages.get(),
          .payload_bytes_sent = loop.payload_bytes_sent.get(),
          .payload_bytes_copied = loop.payload_bytes_copied.get(),
          .device_faults = loop.device_faults.get(),
          .nic_packets_sent = nic.tx_packets,
          .nic_bytes_sent = nic.tx_bytes,
          .nic_completions = nic.tx_completions,
          .nic_packets_dropped = nic.tx_dropped,
          .nic_kicks = nic.tx_kicks,
          .nic_packets_received = nic.rx_packets,
          .nic_bytes_received = nic.rx_bytes,
          .nic_receive_drops = nic.rx_dropped,
          .nic_faults = nic.tx_invalid_descriptors + nic.unexpected_completions};
}

std::vector<nic::Statistic> Engine::Impl::statistics() const {
  const EngineStats s = stats();
  return {{"connections_accepted", s.connections_accepted},
          {"connections_refused", s.connections_refused},
          {"connections_open", s.connections_open},
          {"segments_sent", s.segments_sent},
          {"segments_retransmitted", s.segments_retransmitted},
          {"segments_received", s.segments_received},
          {"segments_invalid", s.segments_invalid},
          {"payload_bytes_sent", s.payload_bytes_sent},
          {"payload_bytes_copied", s.payload_bytes_copied},
          {"splices_submitted", s.splices_submitted},
          {"splices_released", s.splices_released},
          {"frozen_bytes", s.frozen_bytes},
          {"pages_preserved", s.pages_preserved},
          {"pages_redirected", s.pages_redirected},
          {"write_faults", s.write_faults},
          {"writer_waits", s.writer_waits},
          {"sends_failed_for_writers", s.sends_failed_for_writers},
          {"sends_failed_for_total_limit", s.sends_failed_for_total_limit},
          {"sends_failed_for_connection_limit", s.sends_failed_for_connection_limit},
          {"sends_failed_for_slowness", s.sends_failed_for_slowness},
          {"frames_total", s.frames_total},
          {"frames_free", s.frames_free},
          {"frames_cached", s.frames_cached},
          {"frames_history", s.frames_history},
          {"frames_pinned", s.frames_pinned},
          {"snapshots_live", s.snapshots_live}};
}

}  // namespace strictsend
