// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "nic/port.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::engine {

/// What is known of a neighbour of either family: RFC 826's table with the states of RFC 4861
/// §7.3.2, as far as there is use for them.
enum class NeighbourState : std::uint8_t {
  none,         ///< a free place
  claimed,      ///< being given to another address
  incomplete,   ///< asked for, nothing heard yet
  reachable,    ///< has answered a request of ours not long ago
  stale,        ///< heard of otherwise, or long ago: used, but not trusted
  probing,      ///< its address is used while we ask whether it still holds
  unreachable,  ///< did not answer; its address is not used
};

/// A neighbour's MAC and state.
struct Neighbour {
  nic::MacAddress mac{};
  NeighbourState state = NeighbourState::none;
  bool operator==(const Neighbour&) const = default;
  /// Whether frames may be sent there.
  [[nodiscard]] bool usable() const {
    return state == NeighbourState::reachable || state == NeighbourState::stale ||
           state == NeighbourState::probing;
  }
};

/// An address as its place holds it: IPv4's in the form that IPv6 has for it (RFC 4291 §2.5.5.2),
/// which no IPv6 neighbour has.
using NeighbourAddress = std::array<std::uint64_t, 2>;
[[nodiscard]] NeighbourAddress pack(const IpAddress& address);
[[nodiscard]] IpAddress unpack(const NeighbourAddress& packed);

/// A neighbour as one word, which is read and changed as a whole. It is also the sequence lock of
/// the address that stands beside it in its place:
///
///     word:  | MAC 48 | state 3 | generation 13 |        address: two halves of 64 bits
///
/// Whoever gives the place to another address moves the word from what it read to *claimed* with
/// the next generation (one wins), stores the address, then the word. A reader loads word, address,
/// word, and believes them if neither word is claimed and both have one generation:
///
/// - if it loaded a half of the new address, that store's release and its load's acquire make the
///   second word the claim or later, so that the generations differ;
/// - if the first word it loaded is the new one, that store's release and its load's acquire make
///   both halves of the new address visible.
///
/// Everything else changes the word alone, by a compare-exchange that fails if the place was
/// claimed meanwhile. Only 8192 claims of one place during one read would fool a reader.
struct NeighbourWord {
  Neighbour neighbour;
  std::uint16_t generation = 0;  ///< 13 bits

  [[nodiscard]] static NeighbourWord from(std::uint64_t bits);
  [[nodiscard]] std::uint64_t bits() const;
  /// The same place, being given to another address.
  [[nodiscard]] NeighbourWord claimed() const;
};

/// One consistent look at a place in use.
struct NeighbourSeen {
  std::uint64_t bits = 0;  ///< the word, to be expected by a change of it
  NeighbourWord word;
  IpAddress address;
};

/// The reader's half. `place` has load_word() and load_half(index), both with acquire order.
template <class Place>
[[nodiscard]] std::optional<NeighbourSeen> look_at(const Place& place) {
  const NeighbourWord first = NeighbourWord::from(place.load_word());
  if (first.neighbour.state == NeighbourState::none ||
      first.neighbour.state == NeighbourState::claimed)
    return std::nullopt;
  const NeighbourAddress address{place.load_half(0), place.load_half(1)};
  const std::uint64_t bits = place.load_word();
  const NeighbourWord second = NeighbourWord::from(bits);
  if (second.generation != first.generation || second.neighbour.state == NeighbourState::claimed)
    return std::nullopt;
  return NeighbourSeen{bits, second, unpack(address)};
}

/// The writer's half: gives the place, whose word was `expected`, to another address, and calls
/// `reset` while it is nobody's. `place` has exchange_word(expected, desired), and store_half and
/// store_word with release order. False: another thread was first.
template <class Place, class Reset>
bool give_place(Place& place, std::uint64_t expected, const IpAddress& address, Reset&& reset) {
  NeighbourWord word = NeighbourWord::from(expected).claimed();
  if (!place.exchange_word(expected, word.bits())) return false;
  const NeighbourAddress packed = pack(address);
  place.store_half(0, packed[0]);
  place.store_half(1, packed[1]);
  reset();
  word.neighbour.state = NeighbourState::incomplete;
  place.store_word(word.bits());
  return true;
}

/// What an ARP packet's sender makes of an entry. An *answer* is a reply to us; everything else
/// that names a sender is hearsay. `settled`: it was confirmed a moment ago, so that another claim
/// may wait (as in Linux: whoever answers first is kept for a while). Pure.
[[nodiscard]] Neighbour neighbour_after_arp(const Neighbour& before, const nic::MacAddress& sender,
                                            bool answer, bool settled);

/// What a neighbour advertisement says of its target. RFC 4861 §7.2.5.
struct NeighbourClaim {
  std::optional<nic::MacAddress> mac;
  bool solicited = false;
  bool overrides = false;
};
/// What it makes of the target's entry, which is *probing* where RFC 4861 has PROBE, and keeps no
/// MAC when unreachable, where RFC 4861 has no entry any more. Pure.
[[nodiscard]] Neighbour neighbour_after_claim(const Neighbour& before, const NeighbourClaim& claim);

}  // namespace strictsend::engine
