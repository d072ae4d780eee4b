// SPDX-License-Identifier: Apache-2.0
#include "engine/host/neighbours.hpp"

#include <bit>

#include "nic/wire/arp_packet.hpp"

namespace strictsend::engine {
namespace {

/// How often a change is tried again when another thread changed the word first; after that it is
/// as good as lost on the way, and comes again.
constexpr int attempts_max = 4;

/// Long enough before `now` for every interval to be over.
std::int64_t long_ago(Time now) {
  return (now - seconds(3600)).ns;
}

bool waits_for_answer(NeighbourState state) {
  return state == NeighbourState::incomplete || state == NeighbourState::probing;
}

std::uint32_t bits_of(const Ipv4Address& address) {
  return std::bit_cast<std::uint32_t>(address);
}

}  // namespace

Neighbours::Neighbours(std::optional<Ipv4Address> gateway, Time now)
    : has_gateway_(gateway.has_value()) {
  for (Entry& entry : entries_) {
    entry.requested_ns.store(long_ago(now), std::memory_order_relaxed);
    entry.confirmed_ns.store(long_ago(now), std::memory_order_relaxed);
  }
  if (!gateway) return;
  Entry& entry = entries_[gateway_place];
  entry.store_address(bits_of(*gateway));
  entry.store_word(NeighbourWord{.neighbour = {.state = NeighbourState::incomplete}}.bits());
}

std::optional<NeighbourSeen> Neighbours::look(const Entry& entry, const Ipv4Address& address) {
  // Most places are not.
  if (entry.address.load(std::memory_order_relaxed) != bits_of(address)) return std::nullopt;
  const std::optional<NeighbourSeen> seen = look_at(entry);
  return seen && seen->address == address ? seen : std::nullopt;
}

bool Neighbours::change(Entry& entry, const NeighbourSeen& seen, const Neighbour& to) {
  return entry.exchange_word(
      seen.bits, NeighbourWord{.neighbour = to, .generation = seen.word.generation}.bits());
}

bool Neighbours::may_request(Entry& entry, Duration interval, Time now) {
  std::int64_t last = entry.requested_ns.load(std::memory_order_relaxed);
  if (now.ns - last < interval.ns) return false;
  return entry.requested_ns.compare_exchange_strong(last, now.ns, std::memory_order_relaxed);
}

Neighbour Neighbours::find(const Ipv4Address& address) const {
  for (const Entry& entry : entries_) {
    if (const auto seen = look(entry, address)) return seen->word.neighbour;
  }
  return {};
}

Neighbour Neighbours::gateway() const {
  if (!has_gateway_) return {};
  return NeighbourWord::from(entries_[gateway_place].load_word()).neighbour;
}

void Neighbours::heard(const Ipv4Address& sender, const nic::MacAddress& mac, bool answer,
                       Time now) {
  for (Entry& entry : entries_) {
    for (int attempt = 0; attempt < attempts_max; ++attempt) {
      const std::optional<NeighbourSeen> seen = look(entry, sender);
      if (!seen) break;
      const bool settled =
          now.ns - entry.confirmed_ns.load(std::memory_order_relaxed) < settled_time.ns;
      const Neighbour after = neighbour_after_arp(seen->word.neighbour, mac, answer, settled);
      if (after == seen->word.neighbour) break;
      if (after.state == NeighbourState::reachable) {
        entry.confirmed_ns.store(now.ns, std::memory_order_relaxed);
        entry.requests.store(0, std::memory_order_relaxed);
      }
      if (change(entry, *seen, after)) break;
    }
  }
}

void Neighbours::confirmed(const Ipv4Address& address, const nic::MacAddress& mac, Time now) {
  for (Entry& entry : entries_) {
    const std::optional<NeighbourSeen> seen = look(entry, address);
    if (!seen) continue;
    entry.confirmed_ns.store(now.ns, std::memory_order_relaxed);
    entry.used_ns.store(now.ns, std::memory_order_relaxed);
    change(entry, *seen, {mac, NeighbourState::reachable});
  }
}

std::optional<NeighbourRequest> Neighbours::suspect(const Ipv4Address& address, Time now) {
  Entry* entry = nullptr;
  std::optional<NeighbourSeen> seen;
  for (Entry& candidate : entries_) {
    seen = look(candidate, address);
    if (!seen) continue;
    entry = &candidate;
    break;
  }
  if (entry == nullptr) {
    entry = enter(address, now);
    if (entry == nullptr) return std::nullopt;
    seen = look(*entry, address);
    if (!seen) return std::nullopt;
  }
  const Neighbour& neighbour = seen->word.neighbour;
  entry->used_ns.store(now.ns, std::memory_order_relaxed);
  const bool asks = may_request(*entry, request_interval, now);
  if (!waits_for_answer(neighbour.state)) {
    // Also when it was asked for too recently to ask now: the keeper does when it may.
    entry->requests.store(1, std::memory_order_relaxed);
    change(
        *entry, *seen,
        {neighbour.mac, neighbour.usable() ? NeighbourState::probing : NeighbourState::incomplete});
  } else if (asks) {
    entry->requests.fetch_add(1, std::memory_order_relaxed);
  }
  if (!asks) return std::nullopt;
  return NeighbourRequest{address, wire::broadcast_mac};
}

Neighbours::Entry* Neighbours::enter(const Ipv4Address& address, Time now) {
  Entry* place = nullptr;
  std::uint64_t word = 0;
  for (std::uint32_t i = has_gateway_ ? gateway_place + 1 : 0; i < places; ++i) {
    Entry& entry = entries_[i];
    const std::uint64_t bits = entry.load_word();
    const NeighbourState state = NeighbourWord::from(bits).neighbour.state;
    if (state == NeighbourState::claimed) continue;
    if (state != NeighbourState::none) {
      // One that was just asked for keeps its place until it had time to answer.
      if (now.ns - entry.requested_ns.load(std::memory_order_relaxed) < request_interval.ns)
        continue;
      if (place != nullptr && entry.used_ns.load(std::memory_order_relaxed) >=
                                  place->used_ns.load(std::memory_order_relaxed))
        continue;
    }
    place = &entry;
    word = bits;
    if (state == NeighbourState::none) break;
  }
  if (place == nullptr) return nullptr;
  const bool given = give_place(*place, word, address, [&] {
    place->requests.store(0, std::memory_order_relaxed);
    place->requested_ns.store(long_ago(now), std::memory_order_relaxed);
    place->confirmed_ns.store(long_ago(now), std::memory_order_relaxed);
    place->used_ns.store(now.ns, std::memory_order_relaxed);
  });
  return given ? place : nullptr;
}

std::optional<NeighbourRequest> Neighbours::due(std::uint32_t index, Time now) {
  Entry& entry = entries_[index];
  const std::optional<NeighbourSeen> seen = look_at(entry);
  if (!seen) return std::nullopt;
  const bool is_gateway = has_gateway_ && index == gateway_place;
  const Neighbour& neighbour = seen->word.neighbour;
  std::uint8_t requests = entry.requests.load(std::memory_order_relaxed);
  Duration interval = request_interval;
  switch (neighbour.state) {
    case NeighbourState::none:
    case NeighbourState::claimed:
      return std::nullopt;
    case NeighbourState::reachable:
      if (now.ns - entry.confirmed_ns.load(std::memory_order_relaxed) < reachable_time.ns)
        return std::nullopt;
      [[fallthrough]];
    case NeighbourState::stale:
      // The gateway is kept known; who asks for the others says so by `suspect`.
      if (!change(entry, *seen,
                  {neighbour.mac, is_gateway ? NeighbourState::probing : NeighbourState::stale}) ||
          !is_gateway)
        return std::nullopt;
      requests = 0;
      break;
    case NeighbourState::incomplete:
    case NeighbourState::probing:
      if (requests < requests_max) break;
      if (now.ns - entry.requested_ns.load(std::memory_order_relaxed) >= request_interval.ns)
        change(entry, *seen, {{}, NeighbourState::unreachable});
      return std::nullopt;
    case NeighbourState::unreachable:
      if (!is_gateway) return std::nullopt;
      interval = gateway_interval;
      break;
  }
  if (!may_request(entry, interval, now)) return std::nullopt;
  entry.requests.store(static_cast<std::uint8_t>(requests + (requests < requests_max ? 1 : 0)),
                       std::memory_order_relaxed);
  // RFC 1122 §2.3.2.1 (2): first a point-to-point poll, which nobody else need hear.
  const bool poll = requests == 0 && neighbour.usable();
  return NeighbourRequest{seen->address, poll ? neighbour.mac : wire::broadcast_mac};
}

}  // namespace strictsend::engine
