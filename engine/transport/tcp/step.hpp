// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <variant>

#include "base/clock.hpp"
#include "engine/transport/tcp/connection.hpp"

namespace strictsend::tcp {

// What can happen to a connection: the whole of its input, besides time.

struct TimerFired {};  ///< next_deadline has come
struct Enqueue {
  std::uint64_t bytes = 0;
};
struct Retract {
  std::uint64_t bytes = 0;
};
struct Finish {};
struct Consumed {
  std::uint32_t bytes = 0;
};
struct Abort {};
struct PathMtu {
  std::uint32_t mtu_bytes = 0;
  Seq quoted;
};
struct Sent {
  SegmentOut segment;
};

using Event =
    std::variant<SegmentIn, TimerFired, Enqueue, Retract, Finish, Consumed, Abort, PathMtu, Sent>;

/// The core as one function: the state, what happens and when it happens give what is to be done;
/// `Connection::next_segment` then says what is to be sent. Nothing else goes in, so a run can be
/// recorded and repeated (`tests/sim`, `tests/fuzz`).
Outcome step(Connection& state, const Event& event, Time now);

}  // namespace strictsend::tcp
