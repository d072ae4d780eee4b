// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include <strictsend/address.hpp>
#include <strictsend/file.hpp>

namespace strictsend {

/// A flow of UDP datagrams (RFC 768) to one peer: sends snapshots, receives nothing. Nothing tells
/// whether they arrive, and nothing is sent again.
struct DatagramFlowConfig {
  IpAddress peer_address;        ///< one host: no broadcast, no multicast
  std::uint16_t peer_port = 0;   ///< 1 to 65535
  std::uint16_t local_port = 0;  ///< 0: one of the dynamic ports (RFC 6335 §6) that is free here
  /// Of the snapshot in each datagram; a splice's last one may hold less. With the splice's header
  /// and UDP's and IP's it must fit the port's MTU: nothing is fragmented.
  std::uint32_t payload_bytes = 1400;
  /// Of UDP's payload, headers of splices included, spread evenly; 0: as fast as the port takes
  /// them, by turns with everybody else.
  std::uint64_t rate_bytes_per_s = 0;
};

/// A datagram flow, by slot and generation: a stale id is recognised and answered with ENOTCONN.
/// Generation 0: none.
struct DatagramFlowId {
  std::uint32_t slot = 0;        ///< another flow has it later
  std::uint32_t generation = 0;  ///< of the slot: which of the flows that it has had
  /// \return whether they are of the same flow
  bool operator==(const DatagramFlowId&) const = default;
};

/// A number in a splice's datagram header, big endian. What stands there in the template is the
/// first datagram's; it wraps around at its width.
struct DatagramField {
  std::uint8_t offset_bytes = 0;  ///< in the header
  std::uint8_t width_bytes = 0;   ///< 1 to 8; 0: there is no such field
};

/// What to send: the snapshot cut into slices, each of them behind a copy of the header as one
/// datagram. Either may be empty; without a snapshot it is one datagram.
struct DatagramSplice {
  DatagramFlowId flow;                ///< of open_datagram_flow, not closed
  Snapshot snapshot;                  ///< moved in; given up when the splice is released
  std::span<const std::byte> header;  ///< copied by submit; at most max_header_bytes
  DatagramField sequence;             ///< counts the datagrams
  DatagramField byte_offset;          ///< of the slice in the snapshot
  bool notify_sent = false;           ///< ask for Event::sent too; Event::released always comes
  std::uint64_t user_data = 0;        ///< handed back in its events

  static constexpr std::size_t max_header_bytes = 64;  ///< longer ones are EMSGSIZE
};

}  // namespace strictsend
