// SPDX-License-Identifier: Apache-2.0
#include "engine/host/next_hop_keeper.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace strictsend::engine {

NextHopKeeper::NextHopKeeper(Ask ask, Tell tell)
    : ask_(std::move(ask)), tell_(std::move(tell)), thread_([this] { run(); }) {}

NextHopKeeper::~NextHopKeeper() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void NextHopKeeper::add(DatagramFlow& flow, const nic::RouteQuery& query) {
  {
    const std::lock_guard lock(mutex_);
    entries_.push_back({&flow, ++serials_, query, Time{}});
  }
  changed_.notify_all();
}

void NextHopKeeper::remove(const DatagramFlow& flow) {
  const std::lock_guard lock(mutex_);
  std::erase_if(entries_, [&flow](const Entry& entry) { return entry.flow == &flow; });
}

void NextHopKeeper::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto next = std::ranges::min_element(entries_, {}, &Entry::ask_at);
    if (next == entries_.end()) {
      changed_.wait(lock);
      continue;
    }
    const Duration wait = next->ask_at - monotonic_now();
    if (wait > Duration{}) {
      changed_.wait_for(lock, std::chrono::nanoseconds(wait.ns));
      continue;
    }
    const std::uint64_t serial = next->serial;
    const nic::RouteQuery query = next->query;
    lock.unlock();
    const Result<nic::NextHop> hop = ask_(query);
    lock.lock();
    // A route that is gone may come back.
    note(serial, hop ? *hop : nic::NextHop{nic::NextHop::State::unreachable, {}});
  }
}

void NextHopKeeper::note(std::uint64_t serial, const nic::NextHop& hop) {
  const auto entry = std::ranges::find(entries_, serial, &Entry::serial);
  if (entry == entries_.end()) return;
  entry->ask_at = monotonic_now() + (hop.state == nic::NextHop::State::asking ? soon : interval);
  const std::uint64_t packed = pack(hop);
  if (entry->flow->next_hop.exchange(packed, std::memory_order_relaxed) != packed)
    tell_(*entry->flow);
}

}  // namespace strictsend::engine
