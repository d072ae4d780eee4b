// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "nic/discard/discard_port.hpp"
#include "nic/wire/header_template.hpp"
#include "tests/support/sim_client.hpp"

namespace strictsend::testing {

/// The cheapest peer there can be for a DiscardPort: it opens connections and acknowledges what is
/// transmitted, reading headers only. It runs on the engine thread and allocates nothing once made,
/// so that what is measured or forbidden there is the engine's.
class AckingPeer final : public nic::TransmitObserver {
 public:
  AckingPeer(const SimAddresses& addresses, std::size_t connections, const std::byte* dma_view);

  /// The queue on which it is and on which it sends.
  void attach(nic::DiscardPort& port, std::size_t queue = 0) {
    port_ = &port;
    queue_ = queue;
  }
  /// Sends every connection's SYN; where there are more than a receive ring holds, some at first
  /// and the others as these are answered.
  void open_all();
  void transmitted(std::span<const nic::TxPacket> packets) override;

  /// What it offers from its next segment on, in units of a kilobyte; plenty at first.
  void set_window(std::uint16_t kilobytes) { window_ = kilobytes; }
  /// A peer that is deaf acknowledges nothing.
  void set_deaf(bool deaf) { deaf_ = deaf; }

  [[nodiscard]] std::uint64_t other_frames() const { return other_frames_; }  ///< no TCP
  [[nodiscard]] std::uint64_t data_segments() const { return data_segments_; }
  [[nodiscard]] std::uint64_t payload_bytes() const { return payload_bytes_; }
  [[nodiscard]] std::uint64_t payload_bytes(std::size_t connection) const {
    return connections_.at(connection).payload_bytes;
  }

 private:
  struct Connection {
    wire::TcpHeaderTemplate header;
    std::uint32_t snd_nxt = 0;
    std::uint32_t rcv_nxt = 0;
    bool answered = false;
    bool ack_due = false;
    std::uint64_t payload_bytes = 0;
  };

  void take(const nic::TxPacket& packet);
  void acknowledge(Connection& connection);
  bool emit(const Connection& connection, wire::TcpFlags flags, const wire::TcpOptions& options);

  static constexpr std::uint16_t first_port = 1024;
  static constexpr std::size_t opening_max = 500;

  const std::byte* dma_view_;
  nic::DiscardPort* port_ = nullptr;
  std::size_t queue_ = 0;
  std::vector<Connection> connections_;
  std::size_t opened_ = 0;    ///< the SYN was sent
  std::size_t answered_ = 0;  ///< of these
  std::uint16_t window_ = 65535;
  bool deaf_ = false;
  std::uint64_t other_frames_ = 0;
  std::uint64_t data_segments_ = 0;
  std::uint64_t payload_bytes_ = 0;
};

}  // namespace strictsend::testing
