// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/inet_checksum.hpp"
#include "engine/flow/flow.hpp"
#include "engine/tx/payload_gatherer.hpp"
#include "engine/tx/tx_slots.hpp"

namespace strictsend::engine {

/// Turns what TCP wants sent into a packet: headers from the flow's template, payload gathered from
/// the splices of its stream, of several packets at once where the port cuts them. Engine thread.
class SegmentBuilder {
 public:
  using Status = BuildStatus;  ///< `revoked`: end the connection

  explicit SegmentBuilder(PayloadGatherer& gatherer) : gatherer_(gatherer) {}

  /// Builds `segment` of the flow into an empty slot. The payload may come out shorter than asked
  /// for (a boundary between inline and file bytes, no more fragments): `segment` is then cut, and
  /// loses its FIN and PSH. On anything but `built` the slot is empty again.
  Status build(TxSlot& slot, Flow& flow, tcp::SegmentOut& segment);

  /// A header alone (ACK, RST) through any template.
  void build_control(TxSlot& slot, const wire::TcpHeaderTemplate& header,
                     const tcp::SegmentOut& segment);

 private:
  Status gather(PayloadGatherer::Gathering& gathering, Flow& flow, const tcp::SegmentOut& segment);
  void write_header(TxSlot& slot, const wire::TcpHeaderTemplate& header,
                    const tcp::SegmentOut& segment, std::uint32_t buffered_bytes,
                    PartialSum payload_sum) const;

  PayloadGatherer& gatherer_;
};

}  // namespace strictsend::engine
