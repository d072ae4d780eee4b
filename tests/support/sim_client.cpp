// SPDX-License-Identifier: Apache-2.0
#include "tests/support/sim_client.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace strictsend::testing {
namespace {

constexpr std::uint8_t window_shift = 7;

bool before(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::int32_t>(a - b) < 0;
}

}  // namespace

SimClient::SimClient(const SimAddresses& addresses, const Options& options, nic::SimPeer& wire)
    : options_(options),
      addresses_(addresses),
      wire_(&wire),
      header_(wire::FlowAddress{addresses.client_mac, addresses.engine_mac, addresses.client,
                                addresses.engine, options.port, addresses.engine_port,
                                addresses.vlan_id}),
      isn_(options.port * 2654435761U),
      snd_una_(isn_) {}

void SimClient::open(Time now) {
  retransmit(now);
}

void SimClient::send(std::string_view request, Time now) {
  const auto bytes = std::as_bytes(std::span(request));
  outgoing_.insert(outgoing_.end(), bytes.begin(), bytes.end());
  if (established_) retransmit(now);
}

void SimClient::close(Time now) {
  fin_wanted_ = true;
  if (established_) retransmit(now);
}

void SimClient::reset() {
  transmit({.rst = true}, snd_una_, {}, Time{});
  gone_ = true;
  retry_at_ = Time::never();
}

void SimClient::offer_window(std::uint32_t bytes, Time now) {
  options_.window_bytes = bytes;
  if (established_) acknowledge(now);
}

void SimClient::move(const nic::MacAddress& from) {
  header_ = wire::TcpHeaderTemplate(
      wire::FlowAddress{from, addresses_.engine_mac, addresses_.client, addresses_.engine,
                        options_.port, addresses_.engine_port, addresses_.vlan_id});
}

bool SimClient::on_packet(const wire::TcpPacketView& packet, Time now) {
  if (packet.destination_port != options_.port) return false;
  if (gone_) return true;
  if (packet.flags.rst) {
    // RFC 9293 §3.10.7.4: one outside the window is somebody else's.
    if (established_ && packet.seq - rcv_nxt_ > options_.window_bytes) return true;
    was_reset_ = gone_ = true;
    retry_at_ = Time::never();
    return true;
  }
  if (packet.flags.syn && established_ && packet.seq != peer_isn_) {
    acknowledge(now);  // another answer to its SYN: RFC 5961 §4
    return true;
  }
  if (packet.options.timestamps) peer_timestamp_ = packet.options.timestamps->value;
  if (packet.flags.syn) {
    peer_isn_ = packet.seq;
    peer_scales_ = options_.window_scale && packet.options.window_scale.has_value();
    if (!established_) rcv_nxt_ = packet.seq + 1;
    if (!established_) reading_since_ = now;
    established_ = true;
  }
  if (packet.flags.ack && before(snd_una_, packet.ack)) {
    snd_una_ = packet.ack;
    const std::uint32_t all = isn_ + 1 + static_cast<std::uint32_t>(outgoing_.size());
    const bool fin_due = fin_wanted_ && snd_una_ == all;
    if (snd_una_ == all + (fin_wanted_ ? 1U : 0U)) retry_at_ = Time::never();
    if (packet.flags.syn || fin_due) retransmit(now);
  }
  if (packet.flags.fin) {
    peer_fin_known_ = true;
    peer_fin_seq_ = packet.seq + static_cast<std::uint32_t>(packet.payload.size());
  }
  if (!packet.payload.empty()) take_payload(packet.seq, packet.payload);
  if (peer_fin_known_ && rcv_nxt_ == peer_fin_seq_ && !peer_closed_) {
    ++rcv_nxt_;
    peer_closed_ = true;
  }
  if (packet.flags.syn || packet.flags.fin || !packet.payload.empty()) acknowledge(now);
  return true;
}

void SimClient::on_time(Time now) {
  if (!gone_ && now >= retry_at_) retransmit(now);
  if (now < window_at_) return;
  window_at_ = Time::never();
  if (!gone_) acknowledge(now);
}

std::uint32_t SimClient::window(Time now) const {
  if (options_.reads_bytes_per_s == 0) return options_.window_bytes;
  const auto microseconds =
      static_cast<std::uint64_t>(std::max<std::int64_t>((now - reading_since_).ns, 0)) / 1000;
  const std::uint64_t read = std::min<std::uint64_t>(
      microseconds * options_.reads_bytes_per_s / 1'000'000, received_.size());
  const std::uint64_t unread = received_.size() - read;
  return options_.window_bytes -
         static_cast<std::uint32_t>(std::min<std::uint64_t>(unread, options_.window_bytes));
}

void SimClient::take_payload(std::uint32_t seq, std::span<const std::byte> payload) {
  const auto at = static_cast<std::int32_t>(seq - (first_seq() + received_.size()));
  const std::int64_t begin = static_cast<std::int64_t>(received_.size()) + at;
  if (begin + static_cast<std::int64_t>(payload.size()) <=
      static_cast<std::int64_t>(received_.size()))
    return;
  early_[static_cast<std::uint64_t>(std::max<std::int64_t>(begin, 0))] =
      std::vector<std::byte>(payload.begin(), payload.end());
  while (!early_.empty() && early_.begin()->first <= received_.size()) {
    const auto& [offset, bytes] = *early_.begin();
    if (offset + bytes.size() > received_.size()) {
      const auto known = static_cast<std::ptrdiff_t>(received_.size() - offset);
      received_.insert(received_.end(), bytes.begin() + known, bytes.end());
    }
    early_.erase(early_.begin());
  }
  rcv_nxt_ = first_seq() + static_cast<std::uint32_t>(received_.size());
}

void SimClient::acknowledge(Time now) {
  const std::uint32_t all = isn_ + 1 + static_cast<std::uint32_t>(outgoing_.size());
  const bool fin_sent = fin_wanted_ && snd_una_ == all + 1;
  transmit({.ack = true}, fin_sent ? all + 1 : snd_una_, {}, now);
}

void SimClient::retransmit(Time now) {
  retry_at_ = now + options_.retry;
  if (!established_) {
    transmit({.syn = true}, isn_, {}, now);
    return;
  }
  const std::uint32_t all = isn_ + 1 + static_cast<std::uint32_t>(outgoing_.size());
  const std::uint32_t from = snd_una_ == isn_ ? isn_ + 1 : snd_una_;
  if (before(from, all)) {
    const std::span<const std::byte> rest = std::span(outgoing_).subspan(from - isn_ - 1);
    const auto payload = rest.first(std::min<std::size_t>(rest.size(), options_.mss));
    transmit({.psh = true, .ack = true}, from, payload, now);
  } else if (fin_wanted_ && snd_una_ == all) {
    transmit({.fin = true, .ack = true}, all, {}, now);
  } else {
    retry_at_ = Time::never();
  }
}

void SimClient::transmit(wire::TcpFlags flags, std::uint32_t seq,
                         std::span<const std::byte> payload, Time now) {
  wire::TcpSegmentHeader segment;
  segment.seq = seq;
  segment.ack = flags.ack ? rcv_nxt_ : 0;
  segment.flags = flags;
  const std::uint32_t room = window(now);
  // It tells of new room once that is half of its buffer (RFC 9293 §3.8.6.2.2).
  if (options_.reads_bytes_per_s != 0 && room < options_.window_bytes / 2) {
    const std::uint64_t wanted = options_.window_bytes / 2 - room + 1;
    window_at_ =
        now +
        microseconds(static_cast<std::int64_t>(wanted * 1'000'000 / options_.reads_bytes_per_s));
  }
  const std::uint32_t offered = peer_scales_ && !flags.syn ? room >> window_shift : room;
  segment.window = static_cast<std::uint16_t>(std::min<std::uint32_t>(offered, 65535));
  if (flags.syn) {
    segment.options.mss = options_.mss;
    if (options_.window_scale) segment.options.window_scale = window_shift;
  }
  if (options_.timestamps && !flags.rst) {
    segment.options.timestamps = {static_cast<std::uint32_t>(now.ns / 1'000'000) + 1,
                                  flags.ack ? peer_timestamp_ : 0};
  }
  segment.payload_bytes = static_cast<std::uint32_t>(payload.size());
  std::array<std::byte, 2048> frame{};
  const std::uint32_t length = header_.emit(frame, segment, inet_sum(payload));
  if (!payload.empty()) std::memcpy(frame.data() + length, payload.data(), payload.size());
  wire_->inject(std::span(frame).first(length + payload.size()));
}

}  // namespace strictsend::testing
