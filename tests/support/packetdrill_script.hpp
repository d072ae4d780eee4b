// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/packetdrill/packetdrill_abi.h"
#include <strictsend/address.hpp>

namespace strictsend::testing {

/// A TCP segment over IPv4 or IPv6 between a script's peer and the stack, its numbers counted from
/// the initial sequence numbers as scripts count them. Written and read here byte by byte, so that
/// the product's own packet code is not asked about itself.
struct ScriptSegment {
  std::string flags;  ///< of "SFRPA"
  std::uint32_t seq = 0;
  std::uint32_t ack = 0;
  std::uint16_t window = 0;
  std::string payload;
  std::vector<std::uint8_t> options;
  long long at_us = 0;  ///< when the stack sent it

  [[nodiscard]] bool has(char flag) const { return flags.find(flag) != std::string::npos; }
};

/// A router's word about a segment of the stack that it could not forward.
struct ScriptIcmp {
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  std::uint32_t mtu_bytes = 0;
  std::uint32_t quoted_seq = 0;  ///< as in a ScriptSegment
};

/// What packetdrill does with the shared object, and nothing more: loads it, and calls the
/// functions of its table. One connection, from 192.0.2.1:40000 to 192.168.0.1:8080, or between the
/// same ports of 2001:db8::1 and fd3d:fa7b:d17d::1.
class PacketdrillScript {
 public:
  /// Throws where the object cannot be loaded. `flags`: null for none.
  explicit PacketdrillScript(const char* flags = nullptr);
  PacketdrillScript(const PacketdrillScript&) = delete;
  PacketdrillScript& operator=(const PacketdrillScript&) = delete;
  ~PacketdrillScript();

  packetdrill_interface table{};
  [[nodiscard]] void* me() const { return table.userdata; }
  /// A symbol of the object, for what goes past the table.
  [[nodiscard]] void* symbol(const char* name) const;

  /// From here on packets are of this family, and another connection's.
  void speak(AddressFamily family);
  [[nodiscard]] bool speaks_ipv6() const { return ipv6_; }
  [[nodiscard]] std::size_t ip_bytes() const { return ipv6_ ? 40 : 20; }

  // Steps that many stories begin with; they throw where the stack does not play along.
  /// At the stack's address of the family that is spoken, with a socket of that family.
  int listens() { return listens(ipv6_ ? AF_INET6 : AF_INET); }
  /// AF_INET6 for an IPv4 address: that address mapped into IPv6.
  int listens(int domain);
  /// The peer's side of the handshake: SYN with this MSS and window scale 7, and ACK.
  void connects(std::uint16_t mss_bytes = 1000);
  /// All of it: the accepted descriptor.
  int accepted();

  /// The peer sends this.
  int inject(const ScriptSegment& segment);
  int inject(const ScriptIcmp& error);
  int inject_bytes(std::span<const std::uint8_t> packet);
  [[nodiscard]] std::vector<std::uint8_t> packet_of(const ScriptSegment& segment) const;
  /// That the peer has got these bytes of the stack's, for a segment's options.
  [[nodiscard]] std::vector<std::uint8_t> sack_option(std::uint32_t begin, std::uint32_t end) const;
  /// What the stack sends next; empty: nothing more. Lets time pass.
  std::optional<ScriptSegment> sniff();
  /// The same, over segments without payload, SYN, FIN and RST.
  std::optional<ScriptSegment> sniff_past_acks();
  /// Payload of the next segments in order, until there are so many bytes.
  std::string sniff_payload(std::size_t bytes);

  void sleep_ms(unsigned ms) { table.usleep(me(), ms * 1000); }
  /// Now, in microseconds; asking takes one.
  long long now_us();

 private:
  [[nodiscard]] std::vector<std::uint8_t> with_ip_header(std::uint8_t protocol, bool from_stack,
                                                         std::size_t payload_bytes) const;

  void* handle_ = nullptr;
  bool ipv6_ = false;
  std::uint32_t stack_isn_ = 0;
  bool isn_known_ = false;
};

}  // namespace strictsend::testing
