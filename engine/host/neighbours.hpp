// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "base/clock.hpp"
#include "nic/port.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::engine {

/// What is known of a neighbour: RFC 826's table with the states of RFC 4861 §7.3.2, as far as IPv4
/// has use for them.
enum class NeighbourState : std::uint8_t {
  none,         ///< a free place
  claimed,      ///< being given to another address
  incomplete,   ///< asked for, nothing heard yet
  reachable,    ///< has answered a request of ours within reachable_time
  stale,        ///< heard of otherwise, or long ago: used, but not trusted
  probing,      ///< its address is used while we ask whether it still holds
  unreachable,  ///< did not answer; its address is not used
};

/// A neighbour's MAC and state, as one word can hold it.
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

/// A request that should go out.
struct NeighbourRequest {
  Ipv4Address target{};
  nic::MacAddress to{};  ///< the last known MAC, or everybody
};

/// What an ARP packet's sender makes of an entry. An *answer* is a reply to us; everything else
/// that names a sender is hearsay. `settled`: it was confirmed a moment ago, so that another claim
/// may wait (as in Linux: whoever answers first is kept for a while). Pure.
[[nodiscard]] Neighbour neighbour_after_arp(const Neighbour& before, const nic::MacAddress& sender,
                                            bool answer, bool settled);

/// The table of those whom we ask for: the gateway, and the next hops of connections that got no
/// answer. Nobody gets into it by talking to us, so that a flood of claims cannot push out what is
/// needed; a claim changes what is in it already, which is how ARP works.
///
/// Shared by the engine threads, because a reply arrives at whatever queue the NIC chooses. No call
/// locks, waits or allocates. Each entry is a sequence lock of one word:
///
///     word:  | MAC 48 | state 3 | generation 13 |        address: 32 bits
///
/// Whoever gives a place to another address moves the word from what it read to *claimed* with the
/// next generation (one wins), stores the address, then the word. A reader loads word, address,
/// word, and believes them if neither word is claimed and both have one generation. If it read the
/// new address, then by that store's release and its load's acquire the second word is the claim or
/// later, so the generations differ; if the first word is the new one, then its store's release and
/// load's acquire make the new address visible. Everything else changes the word alone, by a
/// compare-exchange that fails if the place was claimed meanwhile. (Only 8192 claims of one place
/// during one read would fool the reader: a claim is possible once a second.)
/// The times are heuristics: a thread may see an older one, and then asks once more or less.
///
/// Two threads may enter one address twice; then both entries hear the same, and the unused one
/// makes room some time.
class Neighbours {
 public:
  static constexpr std::uint32_t places = 64;
  /// RFC 1122 §2.3.2.1: no destination is asked for more often.
  static constexpr Duration request_interval = seconds(1);
  static constexpr std::uint32_t requests_max = 3;           ///< RFC 4861 §10, MAX_UNICAST_SOLICIT
  static constexpr Duration reachable_time = seconds(30);    ///< RFC 4861 §10, REACHABLE_TIME
  static constexpr Duration settled_time = seconds(1);       ///< see neighbour_after_arp
  static constexpr Duration gateway_interval = seconds(10);  ///< of requests once it is unreachable

  explicit Neighbours(std::optional<Ipv4Address> gateway, Time now);
  Neighbours(const Neighbours&) = delete;
  Neighbours& operator=(const Neighbours&) = delete;

  // Any engine thread.
  [[nodiscard]] Neighbour find(const Ipv4Address& address) const;
  [[nodiscard]] Neighbour gateway() const;
  /// Takes in an ARP packet's sender, if it is in the table.
  void heard(const Ipv4Address& sender, const nic::MacAddress& mac, bool answer, Time now);
  /// A connection's peer has acknowledged something from this MAC: the best proof there is.
  void confirmed(const Ipv4Address& address, const nic::MacAddress& mac, Time now);
  /// A connection through this neighbour gets no answer: the request that should go out to
  /// everybody now. None if one just went (then the keeper asks as soon as may be), or if all
  /// places are taken by neighbours just asked for.
  [[nodiscard]] std::optional<NeighbourRequest> suspect(const Ipv4Address& address, Time now);

  // The one thread that keeps the table: what is due at place `index` now, if anything.
  [[nodiscard]] std::optional<NeighbourRequest> due(std::uint32_t index, Time now);

 private:
  struct Word {
    Neighbour neighbour;
    std::uint16_t generation = 0;
  };
  static std::uint64_t pack(const Word& word);
  static Word unpack(std::uint64_t bits);

  /// A cache line each: written by whoever hears of it, read by whoever sends there.
  struct alignas(64) Entry {
    std::atomic<std::uint64_t> word = 0;
    std::atomic<std::uint32_t> address = 0;
    std::atomic<std::uint8_t> requests = 0;      ///< since the last answer
    std::atomic<std::int64_t> requested_ns = 0;  ///< the last request; whoever moves it sends one
    std::atomic<std::int64_t> confirmed_ns = 0;
    std::atomic<std::int64_t> used_ns = 0;  ///< last suspected or confirmed: the oldest makes room
  };
  /// One consistent look at a place in use.
  struct Seen {
    std::uint64_t bits = 0;
    Neighbour neighbour;
    std::uint16_t generation = 0;
    Ipv4Address address{};
  };
  [[nodiscard]] static std::optional<Seen> look(const Entry& entry);
  /// False: another thread changed it since it was seen.
  static bool change(Entry& entry, const Seen& seen, const Neighbour& to);
  Entry* enter(const Ipv4Address& address, Time now);
  static bool may_request(Entry& entry, Duration interval, Time now);

  static constexpr std::uint32_t gateway_place = 0;
  const bool has_gateway_;
  std::array<Entry, places> entries_;
};

}  // namespace strictsend::engine
