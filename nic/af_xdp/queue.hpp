// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "nic/af_xdp/queue_probe.hpp"
#include "nic/af_xdp/socket.hpp"
#include "nic/af_xdp/tx_ledger.hpp"
#include "nic/port.hpp"

namespace strictsend::nic::af_xdp {

/// One AF_XDP socket as a Queue. Owned by the port; every call is the engine thread's. Nothing on
/// it allocates, and `kick` alone calls the kernel (`arm_wait`, `stop` and `counters` stand outside
/// of the datapath).
///
/// Outstanding descriptors never exceed the completion ring's size, so the kernel always finds
/// room there.
class AfXdpQueue final : public Queue {
 public:
  /// `capabilities` and the memory outlive the queue.
  AfXdpQueue(Socket socket, QueueProbe probe, RxChecksum received_checksum,
             const PortCapabilities& capabilities, const DmaMemory& memory);
  AfXdpQueue(const AfXdpQueue&) = delete;
  AfXdpQueue& operator=(const AfXdpQueue&) = delete;
  ~AfXdpQueue() override;

  std::size_t transmit(std::span<const TxPacket> packets) override;
  int kick() override;
  int health() override;
  std::size_t reap(std::span<TxCompletion> completions) override;
  std::size_t receive(std::span<RxPacket> packets) override;
  void release_received() override;
  [[nodiscard]] int wait_fd() const override { return socket_.fd(); }
  bool arm_wait() override;
  void stop() override;
  /// Asks the kernel for its own counters too: one system call, so not for every poll.
  [[nodiscard]] const QueueCounters& counters() const override;

 private:
  void submit(const TxPacket& packet);
  std::size_t reap_ring(std::span<TxCompletion> completions);
  /// An error of the kernel's, or ENODEV where it means that the interface is gone.
  [[nodiscard]] int named(int error) const;
  int kick_copy_mode();
  int kick_zero_copy();
  void outlast_device();

  const RxChecksum received_checksum_;
  const PortCapabilities& capabilities_;
  const DmaMemory memory_;
  Socket socket_;
  QueueProbe probe_;
  TxLedger ledger_;
  std::unique_ptr<std::uint64_t[]> held_;  ///< frames of received packets that the caller looks at
  std::size_t held_count_ = 0;
  bool in_chain_ = false;  ///< inside a received packet of several descriptors
  bool faulted_ = false;   ///< the kernel's completions are not to be believed any more
  bool stopped_ = false;
  bool unproven_ = false;  ///< what is outstanding may be read for ever, as far as anybody knows
  std::unique_ptr<TxCompletion[]> last_completions_;  ///< reaped by `stop`, not yet reported
  std::size_t last_count_ = 0;
  std::size_t last_reported_ = 0;
  std::uint64_t chains_dropped_ = 0;
  mutable QueueCounters counters_;
};

}  // namespace strictsend::nic::af_xdp
