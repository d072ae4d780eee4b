// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "engine/exchange/splice_op.hpp"
#include "engine/tx/payload_gatherer.hpp"
#include "engine/tx/tx_slots.hpp"
#include "nic/wire/header_template.hpp"

namespace strictsend::engine {

/// Turns a slice of a splice into a packet: headers from the flow's template, the splice's own
/// header with its fields filled in, payload gathered from the snapshot. Engine thread.
class DatagramBuilder {
 public:
  explicit DatagramBuilder(PayloadGatherer& gatherer) : gatherer_(gatherer) {}

  /// Builds it into an empty slot, which refers to the splice in both forms: it is released when
  /// the packet is complete. On anything but `built` the slot is empty again.
  BuildStatus build(TxSlot& slot, const wire::UdpHeaderTemplate& header, SpliceOp& op,
                    const udp::Slice& slice);

 private:
  PayloadGatherer& gatherer_;
};

/// How large datagrams may be.
struct DatagramLimits {
  std::uint32_t ip_bytes = 0;        ///< of the IP packet
  std::uint32_t gathered_bytes = 0;  ///< of a snapshot in one packet, wherever it begins

  /// How much of the snapshot fits behind all headers from IP's on; nullopt: not even they fit.
  [[nodiscard]] std::optional<std::uint32_t> payload_bytes_max(std::uint32_t headers_bytes) const {
    if (headers_bytes > ip_bytes) return std::nullopt;
    return std::min(ip_bytes - headers_bytes, gathered_bytes);
  }
};

[[nodiscard]] inline DatagramLimits datagram_limits(const nic::PortCapabilities& port, bool linear,
                                                    std::uint32_t ip_bytes_max) {
  if (linear) return {ip_bytes_max, ip_bytes_max};
  // A stretch of the file that begins anywhere in a page, as in segment_bytes_max.
  const auto fragments = std::min<std::uint32_t>(port.max_fragments, TxSlot::fragments_max);
  const std::uint32_t per_page = port.max_fragment_bytes >= page_bytes ? 1 : 2;
  const std::uint32_t pages = fragments > 1 ? (fragments - 1) / per_page : 0;
  const std::uint32_t held =
      pages > 1 ? (pages - 1) * static_cast<std::uint32_t>(page_bytes) + 1 : pages;
  return {ip_bytes_max, held};
}

}  // namespace strictsend::engine
