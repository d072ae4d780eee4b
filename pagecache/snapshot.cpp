// SPDX-License-Identifier: Apache-2.0
#include "pagecache/snapshot.hpp"

#include "base/assert.hpp"

namespace strictsend::pagecache {

// Room for snapshots that were released but not yet collected by the guard.
SnapshotPool::SnapshotPool(std::uint32_t snapshots_max)
    : live_max_(snapshots_max),
      capacity_(snapshots_max + std::uint64_t{snapshots_max} / 4 + 64),
      states_(std::make_unique<SnapshotState[]>(capacity_)) {
  free_.reserve(capacity_);
  for (std::uint64_t i = capacity_; i-- > 0;)
    free_.push_back(&states_[i]);
}

SnapshotState* SnapshotPool::take() {
  const std::scoped_lock lock(mutex_);
  if (free_.empty() || live_.load(std::memory_order_relaxed) >= live_max_) return nullptr;
  SnapshotState* snapshot = free_.back();
  free_.pop_back();
  live_.fetch_add(1, std::memory_order_relaxed);
  outside_.fetch_add(1);
  return snapshot;
}

void SnapshotPool::push_released(SnapshotState* snapshot) {
  live_.fetch_sub(1, std::memory_order_relaxed);
  snapshot->next_released = released_.load(std::memory_order_relaxed);
  // Release: the guard sees every pin and unpin of this snapshot's sender before it collects.
  while (!released_.compare_exchange_weak(snapshot->next_released, snapshot,
                                          std::memory_order_release, std::memory_order_relaxed)) {
  }
}

void SnapshotPool::put_back(SnapshotState* snapshot) {
  snapshot->file.reset();
  snapshot->audit_sums.clear();
  const std::scoped_lock lock(mutex_);
  STRICTSEND_ASSERT(free_.size() < capacity_);
  free_.push_back(snapshot);
  outside_.fetch_sub(1);
}

}  // namespace strictsend::pagecache
