// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

namespace strictsend::test {

/// What came of an input that broke no promise; a broken one is asserted.
struct HttpFuzzResult {
  std::size_t responses = 0;
  std::size_t files = 0;  ///< of these, answered with 200
};

/// Plays a client that sends `input` (after its first byte, which chooses how it is cut up and what
/// else happens meanwhile) to a session, and holds what the session does against HTTP/1.1: whole
/// responses with statuses that this server has, none after a close, no more than allowed under
/// way, paths that are safe to hand on, and the same answers however the bytes are cut up. The same
/// bytes are also a field's value (a Range, a date, a list of entity tags) and a target.
HttpFuzzResult fuzz_http(std::span<const std::byte> input);

}  // namespace strictsend::test
