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
  not_ip,         ///< another Ethernet type, or an IP version that is not that type's
  ip_truncated,   ///< shorter than its header, or than its length says
  ip_header_length,
  ip_total_length,  ///< smaller than the header
  ip_checksum,
  ip_fragment,
  ip_extension,  ///< IPv6: truncated, to be routed on by us, or too many
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
  icmp_type,    ///< not the kind of message that was to be read
  icmp_quoted,  ///< an error about a packet that is no start of a TCP segment of the receiver's
  icmp_mtu,     ///< "too big" with an MTU below what every link has
  nd_format,    ///< neighbour discovery: a hop limit, code, length or option that is not allowed
  nd_address,   ///< neighbour discovery: addresses that contradict each other or that no host has
};

[[nodiscard]] const char* to_string(ParseError error);

template <class T>
using Parsed = tl::expected<T, ParseError>;

}  // namespace strictsend::wire
