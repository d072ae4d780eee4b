// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <memory>

#include "nic/port.hpp"
#include "nic/receive_buffers.hpp"
#include "nic/sim/flow_filters.hpp"
#include "nic/sim/sim_config.hpp"
#include "nic/sim/sim_peer.hpp"
#include "nic/sim/sim_transmit.hpp"
#include "nic/sim/sim_wire.hpp"

namespace strictsend::nic {

/// A network card, a path and a far end in virtual time: a backend for tests that need no root. It
/// reads what it sends as late as a real device may, so torn writes show.
///
/// Owned by a test, used by one thread. Nothing happens between calls: the test moves the time, to
/// `queue(0).next_event()` or to whatever of its own comes first,
///
///     const Time next = std::min(port->queue(0).next_event(), my_next_timer);
///     port->advance_to(next);
///     while (auto frame = port->peer().receive()) …   // play the peer
///     engine.poll(next);
///
/// and reproduces a run by its seed. All memory is taken by `create`; nothing blocks.
class SimPort final : public Port {
 public:
  /// Fails when the receive part of the memory is empty or cannot hold a packet of the MTU.
  static Result<std::unique_ptr<SimPort>> create(const SimConfig& config, const DmaMemory& memory);

  /// Lets everything happen that is due by `now`, in order. Time does not run backwards.
  void advance_to(Time now);
  [[nodiscard]] Time now() const { return wire_.now; }
  [[nodiscard]] SimPeer& peer() { return peer_; }
  [[nodiscard]] SimStats stats();
  /// A link that is down loses the frames that leave on either side, and kicks fail with ENETDOWN.
  void set_link_up(bool up);
  /// As a device that was pulled out: takes nothing any more, and kicks fail with ENODEV.
  void remove() { removed_ = true; }

  [[nodiscard]] const PortCapabilities& capabilities() const override { return capabilities_; }
  [[nodiscard]] std::size_t queue_count() const override { return 1; }
  [[nodiscard]] Queue& queue(std::size_t index) override;
  [[nodiscard]] bool link_up() const override { return link_up_; }
  Result<void> accept_flows(const FlowFilter& filter) override;

 private:
  class SimQueue final : public Queue {
   public:
    explicit SimQueue(SimPort& port) : port_(&port) {}
    std::size_t transmit(std::span<const TxPacket> packets) override;
    int kick() override;
    std::size_t reap(std::span<TxCompletion> completions) override;
    std::size_t receive(std::span<RxPacket> packets) override;
    void release_received() override;
    [[nodiscard]] int wait_fd() const override { return -1; }
    bool arm_wait() override;
    [[nodiscard]] Time next_event() const override;
    void stop() override;
    [[nodiscard]] const QueueCounters& counters() const override;

   private:
    SimPort* port_;
  };

  SimPort(const SimConfig& config, const DmaMemory& memory);
  void happen(const SimEvent& event);
  void on_arrival(SimFrameIndex frame);
  [[nodiscard]] bool accepts(std::span<const std::byte> frame) const;

  const SimConfig config_;
  const PortCapabilities capabilities_;
  QueueCounters counters_;
  FlowFilters filters_;
  SimWire wire_;
  SimPeer peer_;
  SimTransmit transmit_;
  ReceiveBuffers receive_;
  SimQueue queue_;
  bool link_up_ = true;
  bool removed_ = false;
  std::uint64_t not_ours_ = 0;
};

}  // namespace strictsend::nic
