// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>

#include "engine/transport/tcp/connection.hpp"
#include "engine/transport/tcp/segment.hpp"
#include "tests/fuzz/fuzz_input.hpp"

namespace strictsend::test {

/// A peer that knows everything about the connection and tells it what the input wants:
/// acknowledgements of what it never got, in slices, twice; selective ones that overlap, lie beyond
/// everything sent, are taken back; windows that shrink; echoes of timestamps old and made up.
class LyingPeer {
 public:
  /// Reads the SYN that it opens with.
  explicit LyingPeer(FuzzInput& input);

  [[nodiscard]] const tcp::SegmentIn& syn() const { return syn_; }
  /// Hears what the connection sends.
  void hear(const tcp::SegmentOut& segment);

  [[nodiscard]] tcp::SegmentIn acknowledgement(FuzzInput& input, const tcp::Connection& to);
  [[nodiscard]] tcp::SegmentIn text(FuzzInput& input, const tcp::Connection& to);
  [[nodiscard]] tcp::SegmentIn anything(FuzzInput& input, const tcp::Connection& to);
  /// Whom the handshake needs, and who tells the truth afterwards: the stream has come to
  /// `stream_position`.
  [[nodiscard]] tcp::SegmentIn honest(const tcp::Connection& to, tcp::Position stream_position);

 private:
  [[nodiscard]] tcp::SegmentIn basic(const tcp::Connection& to) const;
  void add_sacks(FuzzInput& input, const tcp::Connection& to, tcp::SegmentIn& segment) const;
  [[nodiscard]] std::uint32_t echo(FuzzInput& input) const;
  void note(const tcp::SegmentIn& segment, const tcp::Connection& to);

  tcp::SegmentIn syn_;
  tcp::Seq highest_;  // the furthest within the window that it ever sent
  std::uint32_t clock_ = 0;
  std::uint32_t echo_first_ = 0, echo_last_ = 0;
  std::uint32_t recent_ = 0;  // of our timestamps, as the connection says it has them
  std::uint16_t window_ = 0;
};

}  // namespace strictsend::test
