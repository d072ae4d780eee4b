// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "base/assert.hpp"
#include "engine/flow/any_flow.hpp"
#include "engine/flow/receive_ring.hpp"
#include "engine/flow/send_stream.hpp"
#include "engine/transport/tcp/connection.hpp"
#include "nic/wire/header_template.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::engine {

/// One connection slot: the transport's state, what it sends and what it received. In use from the
/// first SYN on.
struct Flow : AnyFlow {
  Flow() : AnyFlow(Kind::connection) {}

  ReceiveRing received;

  // The engine thread's.
  std::optional<tcp::Connection> connection;
  nic::MacAddress peer_mac{};
  wire::TcpHeaderTemplate header;
  SendStream stream;
  std::uint64_t consumed_bytes = 0;  ///< of `received`, as told to the connection
  bool announced = false;            ///< event_accepted was posted
  Flow* hash_next = nullptr;
  Flow* free_next = nullptr;
};

[[nodiscard]] inline Flow& connection_of(AnyFlow& flow) {
  STRICTSEND_ASSERT(flow.kind == AnyFlow::Kind::connection);
  return static_cast<Flow&>(flow);
}

}  // namespace strictsend::engine
