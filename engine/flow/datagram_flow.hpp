// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>

#include "base/assert.hpp"
#include "engine/flow/any_flow.hpp"
#include "engine/flow/next_hop.hpp"
#include "engine/host/answer_wait.hpp"
#include "engine/transport/udp/sender.hpp"
#include "nic/wire/header_template.hpp"

namespace strictsend::engine {

/// One slot for a flow of datagrams. The application opens it: a thread that takes a slot which
/// says `available` fills it in and pushes it to the engine thread, which from then on has it until
/// it says so again.
struct DatagramFlow : AnyFlow {
  DatagramFlow() : AnyFlow(Kind::datagrams) {}

  /// Set by the engine thread when it is done with the slot (release), cleared by the thread that
  /// takes it (acquire).
  std::atomic<bool> available = true;

  // Written by the thread that opens it, before it is pushed.
  std::uint32_t payload_bytes = 0;
  std::uint64_t rate_bytes_per_s = 0;
  /// A nic::NextHop, packed. Written by whoever finds it: the engine thread where the engine owns
  /// the interface, else the thread that asks the kernel. Nothing else hangs on it: relaxed.
  std::atomic<std::uint64_t> next_hop = 0;

  // The engine thread's.
  udp::Sender sender;
  wire::UdpHeaderTemplate header;
  nic::MacAddress peer_mac{};  ///< that the header has
  Time look_up_at;             ///< when to look the next hop up again
  AnswerWait answer_wait;      ///< for the host's, while splices wait
};

[[nodiscard]] inline DatagramFlow& datagram_flow_of(AnyFlow& flow) {
  STRICTSEND_ASSERT(flow.kind == AnyFlow::Kind::datagrams);
  return static_cast<DatagramFlow&>(flow);
}

/// All datagram flows of one engine thread: a fixed pool, numbered across the threads from `first`
/// on.
class DatagramFlows {
 public:
  DatagramFlows(std::uint32_t first, std::uint32_t count)
      : flows_(std::make_unique<DatagramFlow[]>(count)), count_(count) {
    for (std::uint32_t i = 0; i < count; ++i)
      flows_[i].slot = first + i;
  }
  [[nodiscard]] std::span<DatagramFlow> slots() { return {flows_.get(), count_}; }
  [[nodiscard]] std::uint64_t memory_bytes() const {
    return std::uint64_t{count_} * sizeof(DatagramFlow);
  }

 private:
  std::unique_ptr<DatagramFlow[]> flows_;
  std::uint32_t count_;
};

}  // namespace strictsend::engine
