// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/clock.hpp"
#include "base/siphash.hpp"
#include "engine/transport/tcp/connection.hpp"
#include "engine/transport/tcp/segment.hpp"

namespace strictsend::tcp {

/// SYN-ACKs that leave no state behind, for when more handshakes are under way than there is room
/// for (RFC 4987 §3.6). All that must be kept of the SYN goes out in the sequence number, and comes
/// back in the peer's acknowledgement:
///
///      31    27 26  24 23                               0
///     | minute |  MSS |  keyed hash of it all and of the  |
///     |  mod 32| index|  connection's ends and the SYN    |
///
/// and in the low bits of our timestamp, where the peer uses timestamps: they come back in its
/// echo.
///
///      ...  4   3        0
///     | SACK  | window scale, 15: none |
///
/// Without timestamps a connection begun so has neither SACK nor a scaled window. ECN is not agreed
/// on. Pure.
class SynCookies {
 public:
  explicit SynCookies(const SipKey& secret) : secret_(secret) {}

  /// The sequence number for the answer to `syn`. `ends`: the connection's addresses and ports.
  [[nodiscard]] Seq make(std::span<const std::byte> ends, const SegmentIn& syn, Time now) const;
  /// Our timestamp, moved back by at most 31 ticks so that it says what the SYN asked for.
  [[nodiscard]] static std::uint32_t timestamp_for(const SegmentIn& syn, std::uint32_t timestamp);

  /// The SYN that `ack` ends the handshake of, as far as it was kept; none if this is no cookie of
  /// the last two minutes.
  [[nodiscard]] std::optional<SegmentIn> check(std::span<const std::byte> ends,
                                               const SegmentIn& ack, Time now) const;

 private:
  [[nodiscard]] std::uint32_t hash(std::span<const std::byte> ends, Seq irs,
                                   std::uint32_t kept) const;

  SipKey secret_;
};

/// The SYN-ACK that goes out with a cookie: what `Connection` would answer, ECN aside.
[[nodiscard]] SegmentOut cookie_answer(const Config& config, const SegmentIn& syn, Seq cookie,
                                       std::uint32_t timestamp_offset, Time now);

}  // namespace strictsend::tcp
