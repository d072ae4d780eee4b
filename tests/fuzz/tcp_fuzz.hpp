// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/transport/tcp/sender.hpp"

namespace strictsend::test {

/// How far an input got.
struct TcpFuzzTrace {
  bool established = false;
  bool peer_closed = false;
  bool closed = false;
  bool acked = false;
  bool delivered = false;
  bool cut = false;      ///< sent several packets as one segment
  bool sacked = false;   ///< the scoreboard had a hole
  bool drained = false;  ///< an honest peer got the rest of the stream and both ends' FIN
  tcp::SenderCounters sender;
};

/// Drives one TCP connection through `tcp::step` as the input says, with a peer that lies as it
/// likes, and ends the process if it breaks an invariant. When the input is used up the peer
/// becomes honest, having forgotten whatever it had not acknowledged: then the connection must
/// bring everything across and end, or say why not.
TcpFuzzTrace fuzz_tcp(std::span<const std::byte> bytes);

}  // namespace strictsend::test
