// SPDX-License-Identifier: Apache-2.0
#include <cerrno>

#include "engine/loop/queue_loop.hpp"

namespace strictsend::engine {
namespace {

tcp::SegmentIn segment_in(const wire::TcpPacketView& packet) {
  tcp::SegmentIn segment;
  segment.seq = tcp::Seq(packet.seq);
  segment.ack = tcp::Seq(packet.ack);
  segment.window = packet.window;
  segment.flags = {packet.flags.fin, packet.flags.syn, packet.flags.rst, packet.flags.psh,
                   packet.flags.ack, packet.flags.ece, packet.flags.cwr};
  segment.payload_bytes = static_cast<std::uint32_t>(packet.payload.size());
  if (packet.options.timestamps) {
    segment.timestamps =
        tcp::Timestamps{packet.options.timestamps->value, packet.options.timestamps->echo};
  }
  segment.syn_options = {packet.options.mss, packet.options.window_scale,
                         packet.options.sack_permitted};
  for (const wire::SackBlock& block : packet.options.sack_blocks.view())
    segment.sacks.add({tcp::Seq(block.begin), tcp::Seq(block.end)});
  segment.congestion_experienced = packet.ecn == wire::ecn_ce;
  return segment;
}

/// Whether a packet that is no sound TCP segment is the host's matter: anything else than broken
/// TCP.
bool concerns_host(wire::ParseError error) {
  return error == wire::ParseError::not_ip || error == wire::ParseError::other_protocol ||
         error == wire::ParseError::group_address;
}

int error_of(tcp::CloseReason reason) {
  switch (reason) {
    case tcp::CloseReason::none:
    case tcp::CloseReason::finished:
      return 0;
    case tcp::CloseReason::reset_by_peer:
      return ECONNRESET;
    case tcp::CloseReason::timed_out:
    case tcp::CloseReason::idle:
    case tcp::CloseReason::slow:
      return ETIMEDOUT;
    case tcp::CloseReason::aborted:
      return ECONNABORTED;
  }
  return ECONNABORTED;
}

}  // namespace

void QueueLoop::receive_packet(const nic::RxPacket& received,
                               std::optional<std::uint32_t> handed_from) {
  const wire::Parsed<wire::TcpPacketView> parsed = wire::parse_tcp_packet(received);
  if (!parsed && parsed.error() == wire::ParseError::other_protocol &&
      (receive_icmp_error(received, handed_from) || receive_refusal(received)))
    return;
  if (config_.host != nullptr && !parsed && concerns_host(parsed.error())) {
    receive_other(received);
    return;
  }
  if (!handed_from) counters_.segments_received.add();
  // A port that hears more than what is sent to it (promiscuous, flooded by a switch) hands on
  // other hosts' packets too.
  if (!parsed || !config_.serves(parsed->destination) || parsed->vlan_id != config_.vlan_id ||
      (config_.host != nullptr && parsed->destination_mac != port_.mac)) {
    counters_.segments_invalid.add();
    return;
  }
  const wire::TcpPacketView& packet = *parsed;
  const FlowKey key{packet.source, packet.source_port, packet.destination_port};
  const tcp::SegmentIn segment = segment_in(packet);
  const bool opening = segment.flags.syn && !segment.flags.ack && !segment.flags.rst;
  Flow* flow = flows_.find(key);
  if (flow != nullptr && opening && flow->connection->may_be_replaced_by(segment)) {
    end_flow(*flow, 0);  // its TIME-WAIT is cut short: RFC 6191
    flow = nullptr;
  }
  if (!opening && may_be_of_another_loop(flow, segment, handed_from)) {
    hand_over(received.bytes, handed_from.value_or(config_.number));
    return;
  }
  if (flow != nullptr) {
    // The way back may change (a gateway failing over): follow whoever proves to know the
    // connection.
    const std::uint64_t acked_before = flow->connection->acked_to();
    const tcp::Outcome outcome = flow->connection->on_segment(segment, now_);
    if (outcome.acked_to > acked_before && packet.source_mac != flow->peer_mac)
      follow(*flow, packet);
    apply(*flow, outcome, packet.payload);
    return;
  }
  const bool listening =
      packet.destination_port == listen_port_.load(std::memory_order_relaxed) && !stopped_;
  if (opening && listening) {
    accept_connection(packet, key, segment);
  } else if (listening && brings_cookie(packet, key, segment)) {
    return;
  } else if (const std::optional<tcp::SegmentOut> reply = tcp::reset_for(segment)) {
    reply_without_flow(packet, *reply);
  }
}

bool QueueLoop::receive_icmp_error(const nic::RxPacket& received,
                                   std::optional<std::uint32_t> handed_from) {
  const wire::Parsed<wire::PacketTooBig> error = wire::parse_packet_too_big(received.bytes);
  if (!error) return false;
  if (!config_.serves(error->source) || error->vlan_id != config_.vlan_id ||
      (config_.host != nullptr && error->destination_mac != port_.mac))
    return false;
  const FlowKey key{error->destination, error->destination_port, error->source_port};
  Flow* flow = flows_.find(key);
  // As any segment of theirs: it may be known on another queue.
  if (flow == nullptr && outbox_ != nullptr && handed_from != config_.number) {
    hand_over(received.bytes, handed_from.value_or(config_.number));
    return true;
  }
  if (flow == nullptr || !flow->connection ||
      !flow->connection->on_path_mtu(error->mtu_bytes, tcp::Seq(error->seq), now_)) {
    counters_.segments_invalid.add();
    return true;
  }
  counters_.path_mtu_messages.add();
  mark_ready(*flow);
  set_timer(*flow);
  return true;
}

void QueueLoop::apply(Flow& flow, const tcp::Outcome& outcome, std::span<const std::byte> payload) {
  if (outcome.established) {
    --half_open_;
    flow.announced = true;
    counters_.connections_accepted.add();
    counters_.connections_open.add();
    flow.open.store(true, std::memory_order_release);
    post(flow, Flow::event_accepted);
  }
  if (outcome.deliver_bytes > 0) {
    flow.received.put(payload.subspan(outcome.deliver_skip_bytes, outcome.deliver_bytes));
    post(flow, Flow::event_readable);
  }
  acknowledge(flow, outcome.acked_to);
  if (outcome.peer_closed) post(flow, Flow::event_peer_closed);
  if (outcome.reply) send_control(flow.header, *outcome.reply);
  if (outcome.closed) {
    if (flow.connection->close_reason() == tcp::CloseReason::slow) {
      for (const SpliceOp* op = flow.stream.head(); op != nullptr; op = op->stream_next)
        counters_.sends_failed_for_slowness.add();
    }
    end_flow(flow, error_of(flow.connection->close_reason()));
    return;
  }
  mark_ready(flow);
  set_timer(flow);
}

void QueueLoop::reply_without_flow(const wire::TcpPacketView& packet,
                                   const tcp::SegmentOut& reply) {
  if (stopped_) return;  // what other loops hand over is still looked at
  send_control(wire::TcpHeaderTemplate(way_back(packet)), reply);
}

}  // namespace strictsend::engine
