// SPDX-License-Identifier: Apache-2.0
#include "engine/host/next_hop_book.hpp"

#include <algorithm>
#include <cstdint>

#include "base/assert.hpp"

namespace strictsend::engine {

void NextHopBook::add(DatagramFlow& flow, const nic::RouteQuery& query) {
  auto entry = std::ranges::find(entries_, query, &Entry::query);
  if (entry == entries_.end()) entry = entries_.insert(entry, Entry{.query = query});
  entry->flows.push_back(&flow);
  entry->ask_at = {};
}

void NextHopBook::remove(const DatagramFlow& flow) {
  for (Entry& entry : entries_)
    std::erase(entry.flows, &flow);
  std::erase_if(entries_, [](const Entry& entry) { return entry.flows.empty(); });
}

Time NextHopBook::ask_at() const {
  const auto next = std::ranges::min_element(entries_, {}, &Entry::ask_at);
  return next == entries_.end() ? Time::never() : next->ask_at;
}

nic::RouteQuery NextHopBook::next() const {
  STRICTSEND_ASSERT(!entries_.empty());
  return std::ranges::min_element(entries_, {}, &Entry::ask_at)->query;
}

void NextHopBook::answered(const nic::RouteQuery& query, const Result<nic::NextHop>& answer,
                           Time now, const Tell& tell) {
  using State = nic::NextHop::State;
  const auto entry = std::ranges::find(entries_, query, &Entry::query);
  if (entry == entries_.end()) return;  // its flows have ended meanwhile
  const State state = entry->wait.after(answer ? answer->state : State::asking, now);
  entry->ask_at = now + (state == State::asking ? soon : interval);
  if (!answer && state == State::asking) return;
  const std::uint64_t packed =
      pack({state, state == State::found ? answer->mac : nic::MacAddress{}});
  for (DatagramFlow* flow : entry->flows) {
    if (flow->next_hop.exchange(packed, std::memory_order_relaxed) != packed) tell(*flow);
  }
}

}  // namespace strictsend::engine
