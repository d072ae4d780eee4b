// SPDX-License-Identifier: Apache-2.0
// How connections begin: with a slot for each handshake, and under floods without one.
#include <array>
#include <cstring>

#include "engine/loop/queue_loop.hpp"

namespace strictsend::engine {
namespace {

/// Cookies are looked for so long after the last that was sent: what is older is refused anyway.
constexpr Duration cookie_lifetime = seconds(128);

/// RFC 6528 §3: ISN = M + F(connection, secret), M advancing every 4 µs.
struct Initial {
  tcp::Seq seq;
  std::uint32_t timestamp_offset = 0;  ///< RFC 7323 §5.4: a random offset for each connection
};
Initial initial_for(const FlowKey& key, const IpAddress& local, const SipKey& secret, Time now) {
  const std::uint64_t hash = hash_of(key, local, FlowHashUse::initial_sequence, secret);
  const auto clock = static_cast<std::uint32_t>(now.ns / 4000);
  return {tcp::Seq(clock + static_cast<std::uint32_t>(hash)),
          static_cast<std::uint32_t>(hash >> 32)};
}

/// RFC 9293 §3.7.1: the MSS is what the MTU leaves without both headers.
tcp::Config tcp_config_for(const IpAddress& peer, const tcp::Config& ipv4) {
  tcp::Config config = ipv4;
  if (peer.is_v4()) return config;
  config.ip_header_bytes = wire::ipv6_bytes;
  constexpr auto more = static_cast<std::uint16_t>(wire::ipv6_bytes - wire::ipv4_bytes_min);
  config.mss_bytes = static_cast<std::uint16_t>(ipv4.mss_bytes - more);
  if (ipv4.mss_send_bytes > 0)
    config.mss_send_bytes = static_cast<std::uint16_t>(ipv4.mss_send_bytes - more);
  return config;
}

/// What a cookie is bound to.
std::array<std::byte, 8> ends_of(const FlowKey& key, const IpAddress& local, const SipKey& secret) {
  const std::uint64_t hash = hash_of(key, local, FlowHashUse::cookie, secret);
  std::array<std::byte, 8> ends;
  std::memcpy(ends.data(), &hash, ends.size());
  return ends;
}

}  // namespace

void QueueLoop::accept_connection(const wire::TcpPacketView& packet, const FlowKey& key,
                                  const tcp::SegmentIn& syn) {
  // Half the slots at most may wait for a handshake to end, so that a herd of SYNs cannot take them
  // all. Beyond that the answer alone keeps what the SYN said (RFC 4987 §3.6).
  if (half_open_ >= (config_.connections_max + 1) / 2) {
    send_cookie(packet, key, syn);
    return;
  }
  Flow* flow = flows_.insert(key);
  if (flow == nullptr) {  // the peer tries again
    counters_.connections_refused.add();
    return;
  }
  const Initial initial = initial_for(key, packet.destination, config_.secret, now_);
  flow->connection.emplace(tcp::Connection::accept(tcp_config_for(key.peer_address, config_.tcp),
                                                   syn, initial.seq, initial.timestamp_offset,
                                                   runs_, now_));
  begin_flow(*flow, packet);
  mark_ready(*flow);
  set_timer(*flow);
}

void QueueLoop::begin_flow(Flow& flow, const wire::TcpPacketView& packet) {
  flow.phase = Flow::Phase::active;
  flow.announced = false;
  flow.finishing = false;
  flow.close_error = 0;
  flow.stream.reset();
  const wire::FlowAddress way = way_back(packet);
  flow.peer_mac = way.destination_mac;
  flow.header = wire::TcpHeaderTemplate(way);
  ++half_open_;
}

void QueueLoop::send_cookie(const wire::TcpPacketView& packet, const FlowKey& key,
                            const tcp::SegmentIn& syn) {
  if (!flows_.has_free()) {  // nobody would have room for who comes back with it
    counters_.connections_refused.add();
    return;
  }
  const auto ends = ends_of(key, packet.destination, config_.secret);
  const tcp::Config tcp = tcp_config_for(key.peer_address, config_.tcp);
  const Initial initial = initial_for(key, packet.destination, config_.secret, now_);
  reply_without_flow(packet, tcp::cookie_answer(tcp, syn, cookies_.make(ends, syn, now_),
                                                initial.timestamp_offset, now_));
  cookies_until_ = now_ + cookie_lifetime;
  counters_.syn_cookies_sent.add();
}

bool QueueLoop::brings_cookie(const wire::TcpPacketView& packet, const FlowKey& key,
                              const tcp::SegmentIn& ack) {
  if (now_ >= cookies_until_ || !ack.flags.ack || ack.flags.rst || ack.flags.syn) return false;
  const auto ends = ends_of(key, packet.destination, config_.secret);
  const std::optional<tcp::SegmentIn> syn = cookies_.check(ends, ack, now_);
  if (!syn) return false;
  Flow* flow = flows_.insert(key);
  if (flow == nullptr) {  // not reset: it may find room when it sends its request again
    counters_.connections_refused.add();
    return true;
  }
  counters_.syn_cookies_accepted.add();
  const Initial initial = initial_for(key, packet.destination, config_.secret, now_);
  flow->connection.emplace(
      tcp::Connection::accept_cookie(tcp_config_for(key.peer_address, config_.tcp), *syn,
                                     ack.ack - 1, initial.timestamp_offset, runs_, now_));
  begin_flow(*flow, packet);
  apply(*flow, flow->connection->on_segment(ack, now_), packet.payload);
  return true;
}

}  // namespace strictsend::engine
