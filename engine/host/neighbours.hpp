// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "base/clock.hpp"
#include "engine/host/neighbour_word.hpp"
#include "nic/port.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::engine {

/// A request that should go out.
struct NeighbourRequest {
  IpAddress target;
  nic::MacAddress to{};  ///< the last known MAC, or everybody who may have the address
};

/// The table of those whom we ask for, by ARP or neighbour discovery: the gateways, and the next
/// hops of connections that got no answer. Nobody gets into it by talking to us, so that a flood of
/// claims cannot push out what is needed; a claim changes what is in it already, which is how ARP
/// works.
///
/// Shared by the engine threads, because a reply arrives at whatever queue the NIC chooses. No call
/// locks, waits or allocates: each entry is a sequence lock of one word (neighbour_word.hpp).
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

  /// Each family's gateway has a place of its own.
  Neighbours(std::optional<Ipv4Address> gateway, std::optional<Ipv6Address> gateway6, Time now);
  Neighbours(const Neighbours&) = delete;
  Neighbours& operator=(const Neighbours&) = delete;
  ~Neighbours() = default;

  // Any engine thread.
  [[nodiscard]] Neighbour find(const IpAddress& address) const;
  [[nodiscard]] Neighbour gateway(AddressFamily family = AddressFamily::ipv4) const;
  /// Takes in the sender of an ARP packet or a solicitation, if it is in the table.
  void heard(const IpAddress& sender, const nic::MacAddress& mac, bool answer, Time now);
  /// Takes in a neighbour advertisement, if its target is in the table.
  void claimed(const IpAddress& target, const NeighbourClaim& claim, Time now);
  /// A connection's peer has acknowledged something from this MAC: the best proof there is.
  void confirmed(const IpAddress& address, const nic::MacAddress& mac, Time now);
  /// A connection through this neighbour gets no answer: the request that should go out to
  /// everybody now. None if one just went (then the keeper asks as soon as may be), or if all
  /// places are taken by neighbours just asked for.
  [[nodiscard]] std::optional<NeighbourRequest> suspect(const IpAddress& address, Time now);

  // The one thread that keeps the table: what is due at place `index` now, if anything.
  [[nodiscard]] std::optional<NeighbourRequest> due(std::uint32_t index, Time now);

 private:
  struct Entry {
    std::atomic<std::uint64_t> word = 0;  ///< this and the next: see NeighbourWord
    std::array<std::atomic<std::uint64_t>, 2> address{};
    std::atomic<std::uint8_t> requests = 0;      ///< since the last answer
    std::atomic<std::int64_t> requested_ns = 0;  ///< the last request; whoever moves it sends one
    std::atomic<std::int64_t> confirmed_ns = 0;
    std::atomic<std::int64_t> used_ns = 0;  ///< last suspected or confirmed: the oldest makes room

    [[nodiscard]] std::uint64_t load_word() const { return word.load(std::memory_order_acquire); }
    [[nodiscard]] std::uint64_t load_half(std::size_t index) const {
      return address[index].load(std::memory_order_acquire);
    }
    void store_word(std::uint64_t bits) { word.store(bits, std::memory_order_release); }
    void store_half(std::size_t index, std::uint64_t bits) {
      address[index].store(bits, std::memory_order_release);
    }
    bool exchange_word(std::uint64_t expected, std::uint64_t desired) {
      return word.compare_exchange_strong(expected, desired, std::memory_order_acq_rel,
                                          std::memory_order_relaxed);
    }
  };
  /// Nothing unless the place is this address's.
  [[nodiscard]] static std::optional<NeighbourSeen> look(const Entry& entry,
                                                         const IpAddress& address);
  /// False: another thread changed it since it was seen.
  static bool change(Entry& entry, const NeighbourSeen& seen, const Neighbour& to);
  Entry* enter(const IpAddress& address, Time now);
  static bool may_request(Entry& entry, Duration interval, Time now);

  /// A place for each family's gateway, the others' when there is none.
  [[nodiscard]] bool is_gateway(std::uint32_t index) const {
    return index < has_gateway_.size() && has_gateway_[index];
  }
  /// Takes in what was heard of an address: `after` makes the new entry of the old one.
  template <class After>
  void take_in(const IpAddress& address, Time now, const After& after);
  const std::array<bool, 2> has_gateway_;  ///< by AddressFamily
  std::array<Entry, places> entries_;
};

}  // namespace strictsend::engine
