// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/progress.hpp"

#include <fmt/format.h>

#include "apps/cli/values.hpp"

namespace strictsend::serve {
namespace {

std::string of_queue(const QueueStats& queue) {
  return fmt::format(
      "{} connections; {} packets sent ({}), {} received, {} dropped", queue.connections_accepted,
      queue.nic_packets_sent, cli::format_size(static_cast<double>(queue.nic_bytes_sent)),
      queue.nic_packets_received, queue.nic_packets_dropped + queue.nic_receive_drops);
}

}  // namespace

std::string progress_line(const EngineStats& before, const EngineStats& now,
                          const ServerCounters& counters, double seconds) {
  const double bytes = static_cast<double>(now.payload_bytes_sent - before.payload_bytes_sent);
  const std::uint64_t requests =
      counters.requests_ok + counters.requests_refused + counters.requests_cut;
  return fmt::format(
      "{} connections | {}/s | {} requests | pages preserved {}, redirected {} | frames cached {}, "
      "old {}, free {}",
      now.connections_open, cli::format_size(seconds > 0 ? bytes / seconds : 0), requests,
      now.pages_preserved, now.pages_redirected, now.frames_cached, now.frames_history,
      now.frames_free);
}

std::string summary(const ServerCounters& counters, const EngineStats& closing,
                    std::span<const QueueStats> queues, double seconds) {
  std::string text = fmt::format("served for {:.1f} s\n", seconds);
  const auto line = [&text](std::string_view name, const std::string& value) {
    text += fmt::format("  {:<24}{}\n", name, value);
  };
  line("requests", fmt::format("{} answered, {} refused, {} cut off", counters.requests_ok,
                               counters.requests_refused, counters.requests_cut));
  line("connections", fmt::format("{} accepted, {} refused", closing.connections_accepted,
                                  closing.connections_refused));
  line("bytes acknowledged",
       fmt::format("{} ({})", counters.bytes_acked,
                   cli::format_size(static_cast<double>(counters.bytes_acked))));
  line("segments", fmt::format("{} sent, {} of them again", closing.segments_sent,
                               closing.segments_retransmitted));
  if (queues.size() > 1) {
    for (std::size_t i = 0; i < queues.size(); ++i)
      line(fmt::format("queue {}", i), of_queue(queues[i]));
    line("segments handed over",
         fmt::format("{} from queue to queue, {} lost", closing.segments_handed_over,
                     closing.segments_hand_over_dropped));
  }
  line("bytes copied to send", std::to_string(closing.payload_bytes_copied));
  line("pages preserved", std::to_string(closing.pages_preserved));
  line("pages redirected", std::to_string(closing.pages_redirected));
  line("frames left pinned", std::to_string(closing.frames_pinned) +
                                 (closing.frames_pinned > 0 ? ": the device did not let go" : ""));
  line("snapshots left", std::to_string(closing.snapshots_live));
  return text;
}

}  // namespace strictsend::serve
