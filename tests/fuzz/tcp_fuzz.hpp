// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

namespace strictsend::test {

/// How far an input got.
struct TcpFuzzTrace {
  bool established = false;
  bool peer_closed = false;
  bool closed = false;
  bool acked = false;
  bool delivered = false;
  bool timed_out_once = false;
  bool recovered_fast = false;
  bool probed = false;
  bool cut = false;  ///< sent several packets as one segment
};

/// Drives one TCP connection as the input says, and ends the process if it breaks an invariant.
TcpFuzzTrace fuzz_tcp(std::span<const std::byte> bytes);

}  // namespace strictsend::test
