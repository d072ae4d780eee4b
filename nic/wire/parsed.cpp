// SPDX-License-Identifier: Apache-2.0
#include "nic/wire/parsed.hpp"

namespace strictsend::wire {

const char* to_string(ParseError error) {
  switch (error) {
    case ParseError::ethernet_truncated:
      return "shorter than an Ethernet header";
    case ParseError::group_address:
      return "multicast or broadcast address";
    case ParseError::not_ipv4:
      return "not IPv4";
    case ParseError::ip_truncated:
      return "IPv4 packet truncated";
    case ParseError::ip_header_length:
      return "IPv4 header length below 20 bytes";
    case ParseError::ip_total_length:
      return "IPv4 total length smaller than the header";
    case ParseError::ip_checksum:
      return "IPv4 header checksum wrong";
    case ParseError::ip_fragment:
      return "IPv4 fragment";
    case ParseError::other_protocol:
      return "another transport protocol";
    case ParseError::tcp_truncated:
      return "TCP header truncated";
    case ParseError::tcp_data_offset:
      return "TCP data offset outside the segment";
    case ParseError::tcp_options:
      return "TCP options malformed";
    case ParseError::tcp_checksum:
      return "TCP checksum wrong";
    case ParseError::udp_truncated:
      return "UDP header truncated";
    case ParseError::udp_length:
      return "UDP length outside the datagram";
    case ParseError::udp_checksum:
      return "UDP checksum wrong";
    case ParseError::not_arp:
      return "not ARP";
    case ParseError::arp_truncated:
      return "ARP packet truncated";
    case ParseError::arp_format:
      return "ARP of another kind";
    case ParseError::arp_address:
      return "ARP from an address that no host has";
    case ParseError::icmp_truncated:
      return "ICMP message truncated";
    case ParseError::icmp_checksum:
      return "ICMP checksum wrong";
    case ParseError::icmp_type:
      return "another ICMP message than echo";
  }
  return "unknown";
}

}  // namespace strictsend::wire
