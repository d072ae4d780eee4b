// SPDX-License-Identifier: Apache-2.0
#include "engine/host/neighbour_word.hpp"

#include <algorithm>
#include <bit>

namespace strictsend::engine {
namespace {

constexpr unsigned generation_bits = 13;
constexpr unsigned state_bits = 3;
constexpr std::uint64_t generation_mask = (std::uint64_t{1} << generation_bits) - 1;
constexpr std::uint64_t state_mask = (std::uint64_t{1} << state_bits) - 1;

}  // namespace

NeighbourAddress pack(const IpAddress& address) {
  Ipv6Address bytes{};
  if (address.is_v4()) {
    bytes[10] = bytes[11] = 0xff;
    std::ranges::copy(address.bytes(), bytes.begin() + 12);
  } else {
    bytes = address.v6();
  }
  return std::bit_cast<NeighbourAddress>(bytes);
}

IpAddress unpack(const NeighbourAddress& packed) {
  const auto bytes = std::bit_cast<Ipv6Address>(packed);
  constexpr Ipv6Address prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (!std::equal(bytes.begin(), bytes.begin() + 12, prefix.begin())) return bytes;
  return Ipv4Address{bytes[12], bytes[13], bytes[14], bytes[15]};
}

NeighbourWord NeighbourWord::from(std::uint64_t bits) {
  NeighbourWord word;
  word.generation = static_cast<std::uint16_t>(bits & generation_mask);
  word.neighbour.state = static_cast<NeighbourState>(bits >> generation_bits & state_mask);
  for (std::size_t i = 0; i < word.neighbour.mac.size(); ++i)
    word.neighbour.mac[i] = static_cast<std::uint8_t>(bits >> (56 - 8 * i));
  return word;
}

std::uint64_t NeighbourWord::bits() const {
  std::uint64_t bits = 0;
  for (const std::uint8_t byte : neighbour.mac)
    bits = bits << 8 | byte;
  return bits << (state_bits + generation_bits) |
         static_cast<std::uint64_t>(neighbour.state) << generation_bits |
         (generation & generation_mask);
}

NeighbourWord NeighbourWord::claimed() const {
  return {.neighbour = {.state = NeighbourState::claimed},
          .generation = static_cast<std::uint16_t>((generation + 1U) & generation_mask)};
}

Neighbour neighbour_after_arp(const Neighbour& before, const nic::MacAddress& sender, bool answer,
                              bool settled) {
  if (before.state == NeighbourState::none || before.state == NeighbourState::claimed)
    return before;
  const bool waits =
      before.state == NeighbourState::incomplete || before.state == NeighbourState::probing;
  if (answer && (waits || before.state == NeighbourState::unreachable))
    return {sender, NeighbourState::reachable};
  if (before.usable() && (before.mac == sender || settled)) return before;
  return {sender, waits ? NeighbourState::probing : NeighbourState::stale};
}

Neighbour neighbour_after_claim(const Neighbour& before, const NeighbourClaim& claim) {
  switch (before.state) {
    case NeighbourState::none:
    case NeighbourState::claimed:
      return before;
    case NeighbourState::incomplete:
    case NeighbourState::unreachable:
      if (!claim.mac) return before;
      return {*claim.mac, claim.solicited ? NeighbourState::reachable : NeighbourState::stale};
    case NeighbourState::reachable:
    case NeighbourState::stale:
    case NeighbourState::probing:
      break;
  }
  const bool differs = claim.mac && *claim.mac != before.mac;
  if (differs && !claim.overrides) {
    // Not taken over, but it casts doubt on what is known.
    if (before.state == NeighbourState::reachable) return {before.mac, NeighbourState::stale};
    return before;
  }
  const nic::MacAddress mac = claim.mac.value_or(before.mac);
  if (claim.solicited) return {mac, NeighbourState::reachable};
  return differs ? Neighbour{mac, NeighbourState::stale} : before;
}

}  // namespace strictsend::engine
