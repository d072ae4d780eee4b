// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "nic/sim/sim_peer.hpp"
#include "nic/wire/header_template.hpp"
#include "nic/wire/tcp_packet.hpp"

namespace strictsend::testing {

/// Both ends' addresses in the simulations.
struct SimAddresses {
  nic::MacAddress engine_mac{0x02, 0, 0, 0, 0, 0x01};
  nic::MacAddress client_mac{0x02, 0, 0, 0, 0, 0x02};
  IpAddress engine{10, 0, 0, 1};
  IpAddress client{10, 0, 0, 2};
  std::uint16_t engine_port = 80;
  wire::VlanId vlan_id;
};

/// A TCP client on the far end of the simulated wire: it opens, sends a request, takes in whatever
/// comes in any order, acknowledges every segment, and closes after the engine has. Independent of
/// the engine's own TCP, so that the two cannot agree on a mistake.
class SimClient {
 public:
  struct Options {
    std::uint16_t port = 40000;
    std::uint16_t mss = 1460;
    bool timestamps = true;
    bool window_scale = true;
    std::uint32_t window_bytes = 1 << 20;  ///< buffer: what it offers while the test reads along
    std::uint32_t reads_bytes_per_s = 0;   ///< out of that buffer; 0: everything at once
    Duration retry = milliseconds(300);    ///< of SYN, request and FIN
  };

  SimClient(const SimAddresses& addresses, const Options& options, nic::SimPeer& wire);

  void open(Time now);
  void send(std::string_view request, Time now);
  void close(Time now);  ///< FIN after what was sent
  void reset();          ///< RST and gone
  void vanish() {        ///< answers nothing any more
    gone_ = true;
    retry_at_ = Time::never();
  }
  /// A window of so many bytes from now on, told to the peer at once; 0 closes it.
  void offer_window(std::uint32_t bytes, Time now);
  /// Sends from another MAC from now on: the same host behind another card or router.
  void move(const nic::MacAddress& from);

  /// Whether the frame was for this client. The packet is already parsed and its checksum right.
  bool on_packet(const wire::TcpPacketView& packet, Time now);
  void on_time(Time now);
  [[nodiscard]] Time next_deadline() const { return std::min(retry_at_, window_at_); }

  [[nodiscard]] bool established() const { return established_; }
  [[nodiscard]] bool peer_closed() const { return peer_closed_; }
  [[nodiscard]] bool was_reset() const { return was_reset_; }
  [[nodiscard]] const std::vector<std::byte>& received() const { return received_; }
  /// The engine's first stream byte, as a sequence number; for looking at the wire.
  [[nodiscard]] std::uint32_t first_seq() const { return peer_isn_ + 1; }
  [[nodiscard]] std::uint16_t port() const { return options_.port; }

 private:
  void transmit(wire::TcpFlags flags, std::uint32_t seq, std::span<const std::byte> payload,
                Time now);
  void acknowledge(Time now);
  void retransmit(Time now);
  void take_payload(std::uint32_t seq, std::span<const std::byte> payload);
  [[nodiscard]] std::uint32_t window(Time now) const;

  Options options_;
  SimAddresses addresses_;
  nic::SimPeer* wire_;
  wire::TcpHeaderTemplate header_;
  std::uint32_t isn_ = 0;
  std::uint32_t snd_una_ = 0;
  std::vector<std::byte> outgoing_;  ///< everything ever sent, from isn_ + 1 on
  bool fin_wanted_ = false;
  std::uint32_t peer_isn_ = 0;
  std::uint32_t rcv_nxt_ = 0;
  std::uint32_t peer_timestamp_ = 0;
  bool peer_scales_ = false;
  bool established_ = false;
  bool peer_closed_ = false;
  bool was_reset_ = false;
  bool gone_ = false;
  bool peer_fin_known_ = false;
  std::uint32_t peer_fin_seq_ = 0;
  Time retry_at_ = Time::never();
  Time window_at_ = Time::never();  ///< when a slow reader has made room again
  Time reading_since_;
  std::vector<std::byte> received_;
  std::map<std::uint64_t, std::vector<std::byte>> early_;  ///< by stream offset, above received_
};

}  // namespace strictsend::testing
