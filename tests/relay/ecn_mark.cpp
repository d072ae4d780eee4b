// SPDX-License-Identifier: Apache-2.0
#include "tests/relay/ecn_mark.hpp"

#include <cstdint>

namespace strictsend::relay {
namespace {

constexpr std::size_t type_offset = 12;
constexpr std::size_t ip_offset = 14;
constexpr std::uint16_t type_ipv4 = 0x0800;
constexpr std::uint16_t type_ipv6 = 0x86dd;
constexpr std::size_t ipv4_bytes_min = 20;
constexpr std::size_t ipv6_bytes = 40;
constexpr std::size_t ipv4_checksum_offset = ip_offset + 10;

std::uint16_t word_at(std::span<const std::byte> frame, std::size_t at) {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(frame[at]) << 8 |
                                    std::to_integer<unsigned>(frame[at + 1]));
}

bool is_ipv4(std::span<const std::byte> frame) {
  return frame.size() >= ip_offset + ipv4_bytes_min && word_at(frame, type_offset) == type_ipv4;
}

bool is_ipv6(std::span<const std::byte> frame) {
  return frame.size() >= ip_offset + ipv6_bytes && word_at(frame, type_offset) == type_ipv6;
}

}  // namespace

bool is_ecn_capable(std::span<const std::byte> frame) {
  // The last two bits of the TOS byte, or of the traffic class, which begins in the middle of a
  // byte (RFC 8200 §3).
  if (is_ipv4(frame)) return (word_at(frame, ip_offset) & 0x0003) != 0;
  return is_ipv6(frame) && (word_at(frame, ip_offset) & 0x0030) != 0;
}

void mark_congestion(std::span<std::byte> frame) {
  if (is_ipv6(frame)) {
    frame[ip_offset + 1] |= std::byte{0x30};
    return;
  }
  if (!is_ipv4(frame)) return;
  const std::uint32_t before = word_at(frame, ip_offset);
  frame[ip_offset + 1] |= std::byte{0x03};
  const std::uint32_t after = word_at(frame, ip_offset);
  // RFC 1624 §3, equation 3.
  std::uint32_t sum = (word_at(frame, ipv4_checksum_offset) ^ 0xffffU) + (before ^ 0xffffU) + after;
  while (sum > 0xffff)
    sum = (sum & 0xffff) + (sum >> 16);
  sum ^= 0xffffU;
  frame[ipv4_checksum_offset] = static_cast<std::byte>(sum >> 8);
  frame[ipv4_checksum_offset + 1] = static_cast<std::byte>(sum & 0xff);
}

}  // namespace strictsend::relay
