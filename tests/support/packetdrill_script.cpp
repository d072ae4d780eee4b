// SPDX-License-Identifier: Apache-2.0
#include "tests/support/packetdrill_script.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>
#include <dlfcn.h>
#include <stdexcept>

namespace strictsend::testing {
namespace {

constexpr std::array<std::uint8_t, 4> peer_address{192, 0, 2, 1};
constexpr std::array<std::uint8_t, 4> stack_address{192, 168, 0, 1};
constexpr std::array<std::uint8_t, 16> peer_address6{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0,
                                                     0,    0,    0,    0,    0, 0, 0, 1};
constexpr std::array<std::uint8_t, 16> stack_address6{0xfd, 0x3d, 0xfa, 0x7b, 0xd1, 0x7d, 0, 0,
                                                      0,    0,    0,    0,    0,    0,    0, 1};
constexpr std::uint8_t protocol_tcp = 6;
constexpr std::uint16_t peer_port = 40000;
constexpr std::uint16_t stack_port = 8080;
constexpr std::uint32_t peer_isn = 0xffff'fff0;  // wraps within the first bytes
constexpr std::string_view flag_letters = "FSRPA";

void put16(std::uint8_t* at, std::uint32_t value) {
  at[0] = static_cast<std::uint8_t>(value >> 8);
  at[1] = static_cast<std::uint8_t>(value);
}
void put32(std::uint8_t* at, std::uint32_t value) {
  put16(at, value >> 16);
  put16(at + 2, value);
}
std::uint32_t get16(const std::uint8_t* at) {
  return std::uint32_t{at[0]} << 8 | at[1];
}
std::uint32_t get32(const std::uint8_t* at) {
  return get16(at) << 16 | get16(at + 2);
}

/// RFC 1071 §1, without the complement.
std::uint32_t sum_of(std::span<const std::uint8_t> bytes, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i < bytes.size(); ++i)
    sum += i % 2 == 0 ? std::uint32_t{bytes[i]} << 8 : bytes[i];
  while (sum > 0xffff)
    sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

/// Of all that a checksum covers behind the IP header, the pseudo-header (RFC 9293 §3.1, RFC 8200
/// §8.1) included. All ones: the checksum field is right.
std::uint32_t transport_sum_of(std::span<const std::uint8_t> packet, std::uint8_t protocol) {
  const bool v6 = packet[0] >> 4 == 6;
  const std::size_t ip_bytes = v6 ? 40 : 20;
  const auto addresses = v6 ? packet.subspan(8, 32) : packet.subspan(12, 8);
  const auto length = static_cast<std::uint32_t>(packet.size() - ip_bytes);
  return sum_of(packet.subspan(ip_bytes), sum_of(addresses, protocol + length));
}

/// Whether a packet's IP header is that of TCP from the stack to the peer.
bool is_from_stack(std::span<const std::uint8_t> packet, bool v6) {
  if (v6) {
    return packet[0] >> 4 == 6 && packet[6] == protocol_tcp &&
           get16(packet.data() + 4) + 40 == packet.size() &&
           std::ranges::equal(packet.subspan(8, 16), stack_address6) &&
           std::ranges::equal(packet.subspan(24, 16), peer_address6);
  }
  return packet[0] == 0x45 && packet[9] == protocol_tcp &&
         get16(packet.data() + 2) == packet.size() && sum_of(packet.first(20)) == 0xffff &&
         std::ranges::equal(packet.subspan(12, 4), stack_address) &&
         std::ranges::equal(packet.subspan(16, 4), peer_address);
}

}  // namespace

PacketdrillScript::PacketdrillScript(const char* flags) {
  // It stays loaded, as in packetdrill: DPDK's libraries take memory whenever they are loaded, and
  // give none back.
  handle_ = ::dlopen(PACKETDRILL_MODULE, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle_ == nullptr) throw std::runtime_error(::dlerror());
  const auto init =
      reinterpret_cast<packetdrill_interface_init_t>(symbol("packetdrill_interface_init"));
  init(flags, &table);
}

PacketdrillScript::~PacketdrillScript() {
  table.free(table.userdata);
  ::dlclose(handle_);
}

void* PacketdrillScript::symbol(const char* name) const {
  void* found = ::dlsym(handle_, name);
  if (found == nullptr) throw std::runtime_error(std::string("no symbol ") + name);
  return found;
}

void PacketdrillScript::speak(AddressFamily family) {
  ipv6_ = family == AddressFamily::ipv6;
  isn_known_ = false;
}

int PacketdrillScript::listens(int domain) {
  const int fd = table.socket(me(), domain, SOCK_STREAM, IPPROTO_TCP);
  sockaddr_storage address{};
  socklen_t bytes = 0;
  if (domain == AF_INET) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(stack_port);
    std::memcpy(&in.sin_addr, stack_address.data(), 4);
    std::memcpy(&address, &in, bytes = sizeof in);
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(stack_port);
    const char* own = ipv6_ ? "fd3d:fa7b:d17d::1" : "::ffff:192.168.0.1";
    if (::inet_pton(AF_INET6, own, &in.sin6_addr) != 1) throw std::runtime_error("inet_pton");
    std::memcpy(&address, &in, bytes = sizeof in);
  }
  if (fd < 0 || table.bind(me(), fd, reinterpret_cast<sockaddr*>(&address), bytes) != 0 ||
      table.listen(me(), fd, 1) != 0)
    throw std::runtime_error("the stack does not listen");
  return fd;
}

void PacketdrillScript::connects(std::uint16_t mss_bytes) {
  std::vector<std::uint8_t> options{2, 4, 0, 0, 1, 3, 3, 7};
  put16(options.data() + 2, mss_bytes);
  inject({.flags = "S", .window = 32792, .options = std::move(options)});
  const auto answer = sniff();
  if (!answer || answer->flags != "SA" || answer->ack != 1)
    throw std::runtime_error("no SYN-ACK came");
  inject({.flags = "A", .seq = 1, .ack = 1, .window = 257});
}

int PacketdrillScript::accepted() {
  const int listener = listens();
  connects();
  const int fd = table.accept(me(), listener, nullptr, nullptr);
  if (fd < 0) throw std::runtime_error("nothing to accept");
  return fd;
}

std::vector<std::uint8_t> PacketdrillScript::with_ip_header(std::uint8_t protocol, bool from_stack,
                                                            std::size_t payload_bytes) const {
  std::vector<std::uint8_t> packet(ip_bytes() + payload_bytes);
  std::uint8_t* const ip = packet.data();
  if (ipv6_) {  // RFC 8200 §3
    ip[0] = 0x60;
    put16(ip + 4, static_cast<std::uint32_t>(payload_bytes));
    ip[6] = protocol;
    ip[7] = 64;
    std::ranges::copy(from_stack ? stack_address6 : peer_address6, ip + 8);
    std::ranges::copy(from_stack ? peer_address6 : stack_address6, ip + 24);
  } else {  // RFC 791 §3.1
    ip[0] = 0x45;
    put16(ip + 2, static_cast<std::uint32_t>(packet.size()));
    ip[8] = 64;
    ip[9] = protocol;
    std::ranges::copy(from_stack ? stack_address : peer_address, ip + 12);
    std::ranges::copy(from_stack ? peer_address : stack_address, ip + 16);
    put16(ip + 10, ~sum_of(std::span(packet).first(20)) & 0xffff);
  }
  return packet;
}

std::vector<std::uint8_t> PacketdrillScript::packet_of(const ScriptSegment& segment) const {
  const std::size_t tcp_bytes = 20 + segment.options.size();
  std::vector<std::uint8_t> packet =
      with_ip_header(protocol_tcp, /*from_stack=*/false, tcp_bytes + segment.payload.size());
  std::uint8_t* const tcp = packet.data() + ip_bytes();  // RFC 9293 §3.1
  put16(tcp, peer_port);
  put16(tcp + 2, stack_port);
  put32(tcp + 4, peer_isn + segment.seq);
  put32(tcp + 8, segment.has('A') ? stack_isn_ + segment.ack : 0);
  tcp[12] = static_cast<std::uint8_t>(tcp_bytes / 4 << 4);
  for (std::size_t bit = 0; bit < flag_letters.size(); ++bit) {
    if (segment.has(flag_letters[bit])) tcp[13] |= static_cast<std::uint8_t>(1U << bit);
  }
  put16(tcp + 14, segment.window);
  std::ranges::copy(segment.options, tcp + 20);
  std::ranges::copy(segment.payload, reinterpret_cast<char*>(tcp + tcp_bytes));
  put16(tcp + 16, ~transport_sum_of(packet, protocol_tcp) & 0xffff);
  return packet;
}

int PacketdrillScript::inject(const ScriptIcmp& error) {
  // RFC 792, RFC 4443 §3.2: of the quoted segment as much as packetdrill quotes, ports and sequence
  // number.
  constexpr std::size_t quoted_tcp_bytes = 8;
  std::vector<std::uint8_t> quoted =
      with_ip_header(protocol_tcp, /*from_stack=*/true, quoted_tcp_bytes);
  std::uint8_t* const tcp = quoted.data() + ip_bytes();
  put16(tcp, stack_port);
  put16(tcp + 2, peer_port);
  put32(tcp + 4, stack_isn_ + error.quoted_seq);
  const std::uint8_t protocol = ipv6_ ? 58 : 1;
  std::vector<std::uint8_t> packet =
      with_ip_header(protocol, /*from_stack=*/false, 8 + quoted.size());
  std::uint8_t* const icmp = packet.data() + ip_bytes();
  icmp[0] = error.type;
  icmp[1] = error.code;
  put32(icmp + 4, error.mtu_bytes);
  std::ranges::copy(quoted, icmp + 8);
  // ICMP's checksum has no pseudo-header.
  const std::uint32_t sum = ipv6_ ? transport_sum_of(packet, protocol)
                                  : sum_of(std::span<const std::uint8_t>(packet).subspan(20));
  put16(icmp + 2, ~sum & 0xffff);
  return inject_bytes(packet);
}

std::vector<std::uint8_t> PacketdrillScript::sack_option(std::uint32_t begin,
                                                         std::uint32_t end) const {
  std::vector<std::uint8_t> option{1, 1, 5, 10, 0, 0, 0, 0, 0, 0, 0, 0};
  put32(option.data() + 4, stack_isn_ + begin);
  put32(option.data() + 8, stack_isn_ + end);
  return option;
}

int PacketdrillScript::inject(const ScriptSegment& segment) {
  return inject_bytes(packet_of(segment));
}

int PacketdrillScript::inject_bytes(std::span<const std::uint8_t> packet) {
  return table.netdev_send(me(), packet.data(), packet.size());
}

std::optional<ScriptSegment> PacketdrillScript::sniff() {
  std::array<std::uint8_t, 10000> buffer{};
  std::size_t bytes = buffer.size();
  ScriptSegment segment;
  if (table.netdev_receive(me(), buffer.data(), &bytes, &segment.at_us) != 0)
    throw std::runtime_error("netdev_receive fails");
  if (bytes == 0) return std::nullopt;
  const std::span<const std::uint8_t> packet(buffer.data(), bytes);
  const std::uint8_t* const tcp = packet.data() + ip_bytes();
  if (bytes < ip_bytes() + 20 || !is_from_stack(packet, ipv6_))
    throw std::runtime_error("the stack sends no TCP packet to the peer");
  const std::size_t headers = ip_bytes() + (tcp[12] >> 4U) * 4U;
  if (transport_sum_of(packet, protocol_tcp) != 0xffff || bytes < headers ||
      get16(tcp) != stack_port || get16(tcp + 2) != peer_port)
    throw std::runtime_error("the stack sends a packet that is broken, or somebody else's");
  for (const char letter : std::string_view("SFRPA")) {
    if ((tcp[13] >> flag_letters.find(letter) & 1) != 0) segment.flags += letter;
  }
  if (segment.flags == "SA" && !isn_known_) {
    stack_isn_ = get32(tcp + 4);
    isn_known_ = true;
  }
  segment.seq = get32(tcp + 4) - stack_isn_;
  segment.ack = get32(tcp + 8) - peer_isn;
  segment.window = static_cast<std::uint16_t>(get16(tcp + 14));
  segment.options.assign(tcp + 20, packet.data() + headers);
  segment.payload.assign(reinterpret_cast<const char*>(packet.data() + headers), bytes - headers);
  return segment;
}

std::optional<ScriptSegment> PacketdrillScript::sniff_past_acks() {
  while (auto segment = sniff()) {
    if (!segment->payload.empty() || segment->flags != "A") return segment;
  }
  return std::nullopt;
}

std::string PacketdrillScript::sniff_payload(std::size_t bytes) {
  std::string payload;
  while (payload.size() < bytes) {
    const auto segment = sniff_past_acks();
    if (!segment || segment->payload.empty()) break;
    payload += segment->payload;
  }
  return payload;
}

long long PacketdrillScript::now_us() {
  timeval now{};
  if (table.gettimeofday(me(), &now, nullptr) != 0) throw std::runtime_error("gettimeofday fails");
  return now.tv_sec * 1'000'000LL + now.tv_usec;
}

}  // namespace strictsend::testing
