// SPDX-License-Identifier: Apache-2.0
// The one list of what is told of a server: JSON and Prometheus's text are made from it,
// `strictsend top` reads by it, and a test holds docs/operations.md against it.
#include <iterator>

#include "apps/serve/statistics/table.hpp"

namespace strictsend::statistics {
namespace {
// Short names for the rows, in a scope of their own: other sources may be compiled together with
// this one.
namespace tables {

using serve::ServerCounters;
using P = ProcessFacts;
using E = EngineStats;
using Q = QueueStats;
using S = ServerCounters;
using enum Kind;
using enum Unit;

constexpr Row<ProcessFacts> process_table[] = {
    {"process", "started_unix_ns", gauge, nanoseconds, &P::started_unix_ns,
     "When the server started, since 1970."},
    {"process", "uptime_ns", gauge, nanoseconds, &P::uptime_ns,
     "How long the server has been running."},
    {"process", "memory_bytes", gauge, bytes, &P::memory_bytes,
     "Memory that the engine took at the start."},
};

constexpr Row<EngineStats> engine_table[] = {
    {"connections", "connections_accepted", counter, number, &E::connections_accepted,
     "Connections that the engine took."},
    {"connections", "connections_refused", counter, number, &E::connections_refused,
     "Connections over --max-connections, or over their queue's share of them."},
    {"connections", "connections_open", gauge, number, &E::connections_open,
     "Connections that are open."},
    {"connections", "syn_cookies_sent", counter, number, &E::syn_cookies_sent,
     "SYNs answered by a cookie, because half of the connections waited for handshakes."},
    {"connections", "syn_cookies_accepted", counter, number, &E::syn_cookies_accepted,
     "Connections that began with a cookie."},
    {"tcp", "segments_sent", counter, number, &E::segments_sent,
     "TCP segments sent; each of those that a port cuts counts."},
    {"tcp", "segments_retransmitted", counter, number, &E::segments_retransmitted,
     "TCP segments sent again."},
    {"tcp", "payload_bytes_retransmitted", counter, bytes, &E::payload_bytes_retransmitted,
     "Payload sent again, of connections that have ended."},
    {"tcp", "fast_recoveries", counter, number, &E::fast_recoveries,
     "Losses that acknowledgements told of, of connections that have ended."},
    {"tcp", "retransmission_timeouts", counter, number, &E::retransmission_timeouts,
     "Retransmission time-outs, of connections that have ended."},
    {"tcp", "tail_loss_probes", counter, number, &E::tail_loss_probes,
     "Tail loss probes, of connections that have ended."},
    {"tcp", "reductions_undone", counter, number, &E::reductions_undone,
     "Reductions of the rate that answered no loss, of connections that have ended."},
    {"tcp", "ecn_reductions", counter, number, &E::ecn_reductions,
     "Reductions for congestion that routers marked, of connections that have ended."},
    {"tcp", "mss_reductions", counter, number, &E::mss_reductions,
     "Reductions for paths that carry less than was agreed on, of connections that have ended."},
    {"tcp", "segments_received", counter, number, &E::segments_received, "TCP segments received."},
    {"tcp", "segments_invalid", counter, number, &E::segments_invalid,
     "Segments received with a bad checksum, malformed, or not ours."},
    {"tcp", "segments_handed_over", counter, number, &E::segments_handed_over,
     "Segments that arrived on another queue than their connection's."},
    {"tcp", "segments_hand_over_dropped", counter, number, &E::segments_hand_over_dropped,
     "Segments lost on the way to their connection's queue, whose thread was behind."},
    {"tcp", "path_mtu_messages", counter, number, &E::path_mtu_messages,
     "Routers' messages that a segment was too big."},
    {"engine", "payload_bytes_sent", counter, bytes, &E::payload_bytes_sent,
     "Bytes of files handed to the NIC, retransmissions included."},
    {"engine", "payload_bytes_copied", counter, bytes, &E::payload_bytes_copied,
     "Bytes of files that the engine copied in order to send them (linear form)."},
    {"datagram", "datagram_flows_open", gauge, number, &E::datagram_flows_open,
     "Datagram flows that are open."},
    {"datagram", "datagrams_sent", counter, number, &E::datagrams_sent,
     "Datagrams handed to the NIC."},
    {"datagram", "datagrams_dropped", counter, number, &E::datagrams_dropped,
     "Datagrams that the NIC says it did not send."},
    {"datagram", "datagram_splices_unreachable", counter, number, &E::datagram_splices_unreachable,
     "Datagram splices given up because the next hop does not answer."},
    {"datagram", "datagrams_refused", counter, number, &E::datagrams_refused,
     "Peers' messages that nobody listens on a datagram's port."},
    {"engine", "splices_submitted", counter, number, &E::splices_submitted,
     "Sends that were submitted."},
    {"engine", "splices_released", counter, number, &E::splices_released,
     "Sends that have ended, well or not, with nothing under descriptors any more."},
    {"engine", "frozen_bytes", gauge, bytes, &E::frozen_bytes,
     "Bytes of snapshots that are being sent and not yet acknowledged."},
    {"host", "arp_requests_answered", counter, number, &E::arp_requests_answered,
     "ARP requests and neighbour solicitations answered (DPDK)."},
    {"host", "echo_requests_answered", counter, number, &E::echo_requests_answered,
     "Pings answered (DPDK)."},
    {"host", "address_conflicts", counter, number, &E::address_conflicts,
     "Packets by which another host claims the server's address (DPDK)."},
    {"host", "neighbour_requests", counter, number, &E::neighbour_requests,
     "Requests sent to find the gateways and silent peers (DPDK)."},
    {"host", "flows_readdressed", counter, number, &E::flows_readdressed,
     "Connections whose next hop turned out to be elsewhere (DPDK)."},
    {"host", "frames_ignored", counter, number, &E::frames_ignored,
     "Frames of other protocols, others' and broken ones (DPDK)."},
    {"cache", "pages_preserved", counter, number, &E::pages_preserved,
     "Pages whose old bytes were copied away because a writer came while they were being sent."},
    {"cache", "pages_redirected", counter, number, &E::pages_redirected,
     "Pages whose writer was moved to a copy, because the NIC was reading them."},
    {"cache", "pages_came_home", counter, number, &E::pages_came_home,
     "Redirected pages that were put back in their place."},
    {"cache", "write_faults", counter, number, &E::write_faults,
     "Writes to protected pages that the guard answered."},
    {"cache", "writer_waits", counter, number, &E::writer_waits,
     "Writes that waited for a spare frame, or for --preserved-limit."},
    {"cache", "writer_stall_ns_max", gauge, nanoseconds, &E::writer_stall_ns_max,
     "The longest that a writer waited for the guard."},
    {"cache", "sends_failed_for_writers", counter, number, &E::sends_failed_for_writers,
     "Sends reset as victims, so that a writer got a frame."},
    {"cache", "sends_failed_for_total_limit", counter, number, &E::sends_failed_for_total_limit,
     "Sends reset because old pages had reached --preserved-limit."},
    {"cache", "sends_failed_for_connection_limit", counter, number,
     &E::sends_failed_for_connection_limit,
     "Sends reset because their connection's old pages had reached --preserved-per-connection."},
    {"cache", "sends_failed_for_slowness", counter, number, &E::sends_failed_for_slowness,
     "Sends reset because their client took too little for too long."},
    {"cache", "frames_total", gauge, frames, &E::frames_total, "Memory of the page cache."},
    {"cache", "frames_free", gauge, frames, &E::frames_free,
     "Memory of the page cache that is free."},
    {"cache", "frames_cached", gauge, frames, &E::frames_cached,
     "Memory that holds current pages of files."},
    {"cache", "frames_history", gauge, frames, &E::frames_history,
     "Memory that holds old pages for sends."},
    {"cache", "frames_port", gauge, frames, &E::frames_port,
     "Memory that holds packet headers and receive buffers."},
    {"cache", "frames_pinned", gauge, frames, &E::frames_pinned, "Memory under NIC descriptors."},
    {"cache", "snapshots_live", gauge, number, &E::snapshots_live,
     "Snapshots of files that are held."},
    {"cache", "audit_failures", counter, number, &E::audit_failures,
     "Pages that changed under a snapshot (audit mode)."},
    {"cache", "pages_loaded", counter, number, &E::pages_loaded,
     "Pages read from the disk because they were wanted, not with their file."},
    {"cache", "pages_evicted", counter, number, &E::pages_evicted,
     "Pages of files in use that left the memory."},
    {"cache", "sends_failed_for_disk", counter, number, &E::sends_failed_for_disk,
     "Sends ended because their pages could not be read any more."},
};

constexpr Row<QueueStats> queue_table[] = {
    {"queue", "connections_accepted", counter, number, &Q::connections_accepted,
     "Connections that the queue took."},
    {"queue", "connections_refused", counter, number, &Q::connections_refused,
     "Connections over the queue's share."},
    {"queue", "connections_open", gauge, number, &Q::connections_open,
     "Connections of the queue that are open."},
    {"queue", "segments_sent", counter, number, &Q::segments_sent, "TCP segments sent."},
    {"queue", "segments_retransmitted", counter, number, &Q::segments_retransmitted,
     "TCP segments sent again."},
    {"queue", "segments_received", counter, number, &Q::segments_received,
     "TCP segments received from the queue, whosever they were."},
    {"queue", "segments_invalid", counter, number, &Q::segments_invalid,
     "Segments received with a bad checksum, malformed, or not ours."},
    {"queue", "segments_handed_over", counter, number, &Q::segments_handed_over,
     "Segments handed to the next queue."},
    {"queue", "segments_hand_over_dropped", counter, number, &Q::segments_hand_over_dropped,
     "Segments not handed over, because the next queue was behind."},
    {"queue", "path_mtu_messages", counter, number, &Q::path_mtu_messages,
     "Routers' messages that a segment was too big."},
    {"queue", "payload_bytes_sent", counter, bytes, &Q::payload_bytes_sent,
     "Bytes of files handed to the queue, retransmissions included."},
    {"queue", "payload_bytes_copied", counter, bytes, &Q::payload_bytes_copied,
     "Bytes of files copied in order to send them."},
    {"queue", "device_faults", counter, number, &Q::device_faults,
     "Whether the queue was stopped because it completed nothing."},
    {"queue", "nic_packets_sent", counter, number, &Q::nic_packets_sent,
     "Packets sent, as the queue counts."},
    {"queue", "nic_bytes_sent", counter, bytes, &Q::nic_bytes_sent,
     "Bytes of packets sent, as the queue counts."},
    {"queue", "nic_completions", counter, number, &Q::nic_completions,
     "Packets that the queue completed."},
    {"queue", "nic_packets_dropped", counter, number, &Q::nic_packets_dropped,
     "Packets completed without having been sent."},
    {"queue", "nic_kicks", counter, number, &Q::nic_kicks,
     "System calls made to start transmission."},
    {"queue", "nic_packets_received", counter, number, &Q::nic_packets_received,
     "Packets received, as the queue counts."},
    {"queue", "nic_bytes_received", counter, bytes, &Q::nic_bytes_received,
     "Bytes of packets received, as the queue counts."},
    {"queue", "nic_receive_drops", counter, number, &Q::nic_receive_drops,
     "Packets dropped on receiving: no buffer, ring full, malformed."},
    {"queue", "nic_faults", counter, number, &Q::nic_faults,
     "Descriptors refused, and completions of none outstanding."},
};

constexpr Row<ServerCounters> server_table[] = {
    {"http", "requests_ok", counter, number, &S::requests_ok,
     "Requests answered to the last byte with a status below 400."},
    {"http", "requests_refused", counter, number, &S::requests_refused,
     "Requests answered to the last byte with an error."},
    {"http", "requests_cut", counter, number, &S::requests_cut,
     "Requests whose connection ended before their response did."},
    {"http", "bytes_sent", counter, bytes, &S::bytes_sent,
     "Bytes of heads and files sent, each once, of responses that have ended."},
    {"http", "bytes_acked", counter, bytes, &S::bytes_acked,
     "Bytes of heads and files acknowledged, of responses that have ended."},
    {"http", "pages_preserved", counter, number, &S::pages_preserved,
     "Pages preserved for responses that have ended."},
    {"http", "bytes_copied", counter, bytes, &S::bytes_copied,
     "Bytes copied to be sent, of responses that have ended."},
    {"http", "connections_accepted", counter, number, &S::connections_accepted,
     "Connections that the server got from the engine."},
    {"http", "connections_open", gauge, number, &S::connections_open,
     "Connections that the server holds."},
    {"http", "connections_blocked", gauge, number, &S::connections_blocked,
     "Connections of which the engine takes nothing more for now."},
    {"http", "responses_open", gauge, number, &S::responses_open, "Responses under way."},
    {"files", "files_open", gauge, number, &S::files_open,
     "Files that are kept in the page cache."},
    {"files", "files_found", counter, number, &S::files_found,
     "Requests whose file was in the page cache."},
    {"files", "files_loaded", counter, number, &S::files_loaded,
     "Requests whose file had to be opened first."},
    {"files", "files_dropped", counter, number, &S::files_dropped,
     "Files let go of, so that there is room for others."},
    {"uploads", "uploads_begun", counter, number, &S::uploads_begun, "Uploads that began."},
    {"uploads", "uploads_open", gauge, number, &S::uploads_open, "Uploads under way."},
    {"uploads", "uploads_created", counter, number, &S::uploads_created,
     "Uploads that made a new file."},
    {"uploads", "uploads_replaced", counter, number, &S::uploads_replaced,
     "Uploads that made a new version of a file."},
    {"uploads", "uploads_refused", counter, number, &S::uploads_refused,
     "Uploads refused by their conditions, the file system or the disk."},
    {"uploads", "uploads_abandoned", counter, number, &S::uploads_abandoned,
     "Uploads whose client went, or sent what cannot be stored."},
    {"uploads", "uploads_bytes_received", counter, bytes, &S::uploads_bytes_received,
     "Bytes of uploads received."},
    {"http", "access_log_lines_lost", counter, number, &S::access_log_lines_lost,
     "Lines that the access log did not take."},
};

/// How many numbers a struct of them has: each needs its row.
template <class Stats>
constexpr std::size_t numbers_in = sizeof(Stats) / sizeof(std::uint64_t);

static_assert(std::size(process_table) == numbers_in<ProcessFacts>,
              "each member of ProcessFacts has one row above");
static_assert(std::size(engine_table) == numbers_in<EngineStats>,
              "each member of EngineStats has one row above");
static_assert(std::size(queue_table) == numbers_in<QueueStats>,
              "each member of QueueStats has one row above");
static_assert(std::size(server_table) == numbers_in<ServerCounters> -
                                             numbers_in<decltype(ServerCounters::responses)> -
                                             numbers_in<decltype(ServerCounters::refusals)>,
              "each member of ServerCounters has one row above, but for responses and refusals");

}  // namespace tables
}  // namespace

std::span<const Row<ProcessFacts>> process_rows() {
  return tables::process_table;
}
std::span<const Row<EngineStats>> engine_rows() {
  return tables::engine_table;
}
std::span<const Row<QueueStats>> queue_rows() {
  return tables::queue_table;
}
std::span<const Row<serve::ServerCounters>> server_rows() {
  return tables::server_table;
}

}  // namespace strictsend::statistics
