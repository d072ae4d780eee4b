// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/result.hpp"

namespace strictsend::wire {

/// Why a received frame is not a packet for us. An outcome expected at run time: the frame is
/// counted and dropped, nobody is told.
enum class ParseError : std::uint8_t {
  ethernet_truncated,
  group_address,  ///< sent to, or claiming to come from, a multicast or broadcast address
  not_ipv4,       ///< another Ethernet type, or another IP version
  ip_truncated,   ///< shorter than its header, or than its total length says
  ip_header_length,
  ip_total_length,  ///< smaller than the header
  ip_checksum,
  ip_fragment,
  other_protocol,
  tcp_truncated,
  tcp_data_offset,
  tcp_options,
  tcp_checksum,
  udp_truncated,
  udp_length,
  udp_checksum,
  not_arp,
  arp_truncated,
  arp_format,   ///< not of Ethernet and IPv4, or neither request nor reply
  arp_address,  ///< the sender's is none that a single host can have
  icmp_truncated,
  icmp_checksum,
  icmp_type,  ///< neither echo nor echo reply
};

[[nodiscard]] const char* to_string(ParseError error);

template <class T>
using Parsed = tl::expected<T, ParseError>;

}  // namespace strictsend::wire
