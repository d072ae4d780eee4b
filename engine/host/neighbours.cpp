// SPDX-License-Identifier: Apache-2.0
#include "engine/host/neighbours.hpp"

#include "nic/wire/arp_packet.hpp"
#include "nic/wire/neighbour_packet.hpp"

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

nic::MacAddress everybody(const IpAddress& target) {
  return target.is_v4() ? wire::broadcast_mac
                        : wire::multicast_mac(wire::solicited_node(target.v6()));
}

}  // namespace

Neighbours::Neighbours(std::optional<Ipv4Address> gateway, std::optional<Ipv6Address> gateway6,
                       Time now)
    : has_gateway_{gateway.has_value(), gateway6.has_value()} {
  for (Entry& entry : entries_) {
    entry.requested_ns.store(long_ago(now), std::memory_order_relaxed);
    entry.confirmed_ns.store(long_ago(now), std::memory_order_relaxed);
  }
  const auto enter_gateway = [this](const IpAddress& address) {
    Entry& entry = entries_[static_cast<std::size_t>(address.family())];
    give_place(entry, entry.load_word(), address, [] {});
  };
  if (gateway) enter_gateway(*gateway);
  if (gateway6) enter_gateway(*gateway6);
}

std::optional<NeighbourSeen> Neighbours::look(const Entry& entry, const IpAddress& address) {
  // Most places are not.
  const NeighbourAddress packed = pack(address);
  for (std::size_t i = 0; i < packed.size(); ++i)
    if (entry.address[i].load(std::memory_order_relaxed) != packed[i]) return std::nullopt;
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

Neighbour Neighbours::find(const IpAddress& address) const {
  for (const Entry& entry : entries_) {
    if (const auto seen = look(entry, address)) return seen->word.neighbour;
  }
  return {};
}

Neighbour Neighbours::gateway(AddressFamily family) const {
  const auto place = static_cast<std::uint32_t>(family);
  if (!is_gateway(place)) return {};
  return NeighbourWord::from(entries_[place].load_word()).neighbour;
}

template <class After>
void Neighbours::take_in(const IpAddress& address, Time now, const After& after) {
  for (Entry& entry : entries_) {
    for (int attempt = 0; attempt < attempts_max; ++attempt) {
      const std::optional<NeighbourSeen> seen = look(entry, address);
      if (!seen) break;
      const bool settled =
          now.ns - entry.confirmed_ns.load(std::memory_order_relaxed) < settled_time.ns;
      const Neighbour made = after(seen->word.neighbour, settled);
      if (made == seen->word.neighbour) break;
      if (made.state == NeighbourState::reachable) {
        entry.confirmed_ns.store(now.ns, std::memory_order_relaxed);
        entry.requests.store(0, std::memory_order_relaxed);
      }
      if (change(entry, *seen, made)) break;
    }
  }
}

void Neighbours::heard(const IpAddress& sender, const nic::MacAddress& mac, bool answer, Time now) {
  take_in(sender, now, [&](const Neighbour& before, bool settled) {
    return neighbour_after_arp(before, mac, answer, settled);
  });
}

void Neighbours::claimed(const IpAddress& target, const NeighbourClaim& claim, Time now) {
  take_in(target, now, [&](const Neighbour& before, bool /*settled*/) {
    return neighbour_after_claim(before, claim);
  });
}

void Neighbours::confirmed(const IpAddress& address, const nic::MacAddress& mac, Time now) {
  for (Entry& entry : entries_) {
    const std::optional<NeighbourSeen> seen = look(entry, address);
    if (!seen) continue;
    entry.confirmed_ns.store(now.ns, std::memory_order_relaxed);
    entry.used_ns.store(now.ns, std::memory_order_relaxed);
    change(entry, *seen, {mac, NeighbourState::reachable});
  }
}

std::optional<NeighbourRequest> Neighbours::suspect(const IpAddress& address, Time now) {
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
  return NeighbourRequest{address, everybody(address)};
}

Neighbours::Entry* Neighbours::enter(const IpAddress& address, Time now) {
  Entry* place = nullptr;
  std::uint64_t word = 0;
  for (std::uint32_t i = 0; i < places; ++i) {
    if (is_gateway(i)) continue;
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
  const bool kept = is_gateway(index);
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
                  {neighbour.mac, kept ? NeighbourState::probing : NeighbourState::stale}) ||
          !kept)
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
      if (!kept) return std::nullopt;
      interval = gateway_interval;
      break;
  }
  if (!may_request(entry, interval, now)) return std::nullopt;
  entry.requests.store(static_cast<std::uint8_t>(requests + (requests < requests_max ? 1 : 0)),
                       std::memory_order_relaxed);
  // RFC 1122 §2.3.2.1 (2): first a point-to-point poll, which nobody else need hear.
  const bool poll = requests == 0 && neighbour.usable();
  return NeighbourRequest{seen->address, poll ? neighbour.mac : everybody(seen->address)};
}

}  // namespace strictsend::engine
