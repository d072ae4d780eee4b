// SPDX-License-Identifier: Apache-2.0
#include "nic/wire/parsed.hpp"

namespace strictsend::wire {

const char* to_string(ParseError error) {
  switch (error) {
    case ParseError::ethernet_truncated:
      return "shorter than an Ethernet header";
    case ParseError::group_address:
      return "multicast or broadcast address";
    case ParseError::not_ip:
      return "not IP";
    case ParseError::ip_truncated:
      return "IP packet truncated";
    case ParseError::ip_header_length:
      return "IPv4 header length below 20 bytes";
    case ParseError::ip_total_length:
      return "IPv4 total length smaller than the header";
    case ParseError::ip_checksum:
      return "IPv4 header checksum wrong";
    case ParseError::ip_fragment:
      return "IP fragment";
    case ParseError::ip_extension:
      return "IPv6 extension headers that are not accepted";
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
      return "another ICMP message";
    case ParseError::icmp_quoted:
      return "ICMP error about another packet than a TCP segment of ours";
    case ParseError::icmp_mtu:
      return "ICMP error with an MTU that no link has";
    case ParseError::nd_format:
      return "neighbour discovery message malformed";
    case ParseError::nd_address:
      return "neighbour discovery with addresses that cannot be";
  }
  return "unknown";
}

}  // namespace strictsend::wire
