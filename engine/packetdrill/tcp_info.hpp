// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/tcp.h>

#include "engine/transport/tcp/connection.hpp"

namespace strictsend::packetdrill {

/// What the transport is not asked about.
struct LinkFacts {
  std::uint32_t mtu_bytes = 0;
  std::uint32_t headers_bytes = 0;  ///< IP's and TCP's, without options
  std::uint32_t advertised_mss_bytes = 0;
};

/// TCP_INFO of a connection, as far as the transport knows it; the rest is 0. In Linux's units:
/// windows in segments, times in microseconds.
[[nodiscard]] tcp_info tcp_info_of(const tcp::Connection& connection, const LinkFacts& link);

/// TCP_INFO where there is no connection: a state and nothing else.
[[nodiscard]] tcp_info tcp_info_without_connection(bool listening);

}  // namespace strictsend::packetdrill
