// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/page.hpp"
#include "engine/tx/tx_slots.hpp"
#include "nic/port.hpp"

namespace strictsend::engine {

/// Whether packets may go to the port in the fragments form to be cut there, and how much payload
/// one may carry: for tcp::Config::segment_bytes_max. 0: the port does not offer it. The linear
/// form never asks for it: a header buffer holds one packet.
[[nodiscard]] inline std::uint32_t segment_bytes_max(const nic::PortCapabilities& port,
                                                     bool linear) {
  constexpr std::uint32_t header_bytes_max = 40 + 20 + 12;  // IPv6, TCP, its timestamps
  constexpr std::uint32_t ip_bytes_max = 65535;             // an IPv4 packet's, RFC 791 §3.1
  const std::uint32_t ip_bytes = std::min(port.segmented_bytes_max, ip_bytes_max);
  if (linear || !port.checksum_offload || ip_bytes <= header_bytes_max) return 0;
  // A stretch of the file that begins anywhere in a page: what the fragments behind the header's
  // hold of it in any case. Where two make a page, one of them may be a page's rest.
  const std::uint32_t fragments = std::min<std::uint32_t>(
      port.segmented_fragments_max, static_cast<std::uint32_t>(TxSlot::fragments_max));
  const std::uint32_t per_page = port.max_fragment_bytes >= page_bytes ? 1 : 2;
  const std::uint32_t pages = fragments > 1 ? (fragments - 1) / per_page : 0;
  if (pages < 2) return 0;
  const std::uint32_t held = (pages - 1) * static_cast<std::uint32_t>(page_bytes) + 1;
  return std::min(ip_bytes - header_bytes_max, held);
}

}  // namespace strictsend::engine
