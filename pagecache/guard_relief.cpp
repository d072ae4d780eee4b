// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <mutex>

#include "base/mutation.hpp"
#include "pagecache/cache_core.hpp"
#include "pagecache/guard.hpp"
#include "pagecache/victim_choice.hpp"

// Giving up sends, so that old pages do not take more memory than they may, and writers get frames.

namespace strictsend::pagecache {
namespace {

/// How many frames are to come free after a wait: this share of the spare ones, so that the writer
/// does not wait again for its next page, but no more than that of the old pages.
constexpr std::uint64_t share_of_spares = 16;
constexpr std::uint64_t share_of_kept = 4;

}  // namespace

void Guard::keep_limits(Time now) {
  const PreservedLimits& limits = core_.preserved_limits();
  if (frames_kept() <= limits.look_above) return;
  find_holders();
  for (std::size_t i = 0; i < holders_.size(); ++i) {
    // What nobody has submitted yet belongs to no connection; the limit of all is for it too.
    if (holders_[i].frames > limits.frames_per_owner_max && first_held_of(i).owner != 0)
      give_up(i, core_.counters().sends_failed_for_connection_limit);
  }
  while (frames_kept() > limits.relieve_above) {
    const auto victim = choose_victim(holders_, now, core_.config().writer_wait_limit);
    if (!victim) break;
    give_up(*victim, core_.counters().sends_failed_for_total_limit);
  }
}

void Guard::relieve_writers(Time now) {
  Time since = Time::never();
  for (const WaitingFault& fault : waiting_faults_)
    since = std::min(since, fault.since);
  std::uint64_t waiting = waiting_faults_.size();
  if (const auto api_since = core_.spare_waiters().waiting_since()) {
    since = std::min(since, *api_since);
    ++waiting;
  }
  if (since == Time::never()) {
    core_.writers_wait_for_device().store(false, std::memory_order_relaxed);
    return;
  }
  const Duration limit = core_.config().writer_wait_limit;
  if (now - std::max(since, last_victim_) < limit) return;

  last_victim_ = now;
  find_holders();
  const std::uint64_t wanted = std::clamp<std::uint64_t>(
      std::max<std::uint64_t>(waiting, core_.config().spare_frames / share_of_spares), 1,
      std::max<std::uint64_t>(frames_kept() / share_of_kept, 1));
  bool gave_up = false;
  // Snapshots share frames: giving one up may set none free, for others still read them.
  for (std::uint64_t freed = 0; freed < wanted;) {
    const auto victim = choose_victim(holders_, core_.progress_now(), limit);
    if (!victim) break;
    freed += give_up(*victim, core_.counters().victims);
    gave_up = true;
  }
  // None: all frames are under descriptors, and the device has to finish, or be stopped.
  core_.writers_wait_for_device().store(!gave_up, std::memory_order_relaxed);
  if (!gave_up) return;
  core_.allocator().reap_waiting();
  core_.spare_waiters().frames_may_be_free();
  retry_waiting_faults();
}

std::uint64_t Guard::frames_kept() const {
  return core_.counters().frames_history.load(std::memory_order_relaxed);
}

/// Who holds old pages now: one for each owner, and one for each snapshot that has none.
void Guard::find_holders() {
  held_.clear();
  holders_.clear();
  for (const auto& file : files_) {
    const std::scoped_lock lock(file->lock);
    for (SnapshotState* snapshot : file->live) {
      if (snapshot->pages_kept == 0) continue;
      held_.push_back(
          {snapshot->owner.load(std::memory_order_relaxed), snapshot, snapshot->pages_kept, 0});
    }
  }
  std::ranges::stable_sort(held_, {}, &Held::owner);
  for (std::size_t i = 0; i < held_.size(); ++i) {
    Held& held = held_[i];
    const Time progress{held.snapshot->progress_ns.load(std::memory_order_relaxed)};
    if (i == 0 || held.owner == 0 || held.owner != held_[i - 1].owner) holders_.push_back({});
    Holder& holder = holders_.back();
    held.holder = holders_.size() - 1;
    holder.progress = holder.frames == 0 ? progress : std::max(holder.progress, progress);
    holder.frames += held.pages;
  }
}

const Guard::Held& Guard::first_held_of(std::size_t holder) const {
  return *std::ranges::lower_bound(held_, holder, {}, &Held::holder);
}

/// All that the holder keeps frames for: a connection that loses one of its sends is reset anyway.
std::uint64_t Guard::give_up(std::size_t holder, std::atomic<std::uint64_t>& counter) {
  std::uint64_t freed = 0;
  for (auto held = std::ranges::lower_bound(held_, holder, {}, &Held::holder);
       held != held_.end() && held->holder == holder; ++held) {
    freed += revoke(*held->snapshot);
    counter.fetch_add(1, std::memory_order_relaxed);
  }
  holders_[holder].frames = 0;
  return freed;
}

std::uint64_t Guard::revoke(SnapshotState& snapshot) {
  const std::shared_ptr<CachedFile> file = snapshot.file;
  {
    const std::scoped_lock lock(file->lock);
    // Before any pin of its pages is read (seq_cst): a sender that pins later sees it.
    if (!mutation_active(Mutation::collect_without_revoking))
      snapshot.revoked.store(true, std::memory_order_seq_cst);
    verify(*file, snapshot, snapshot.collected_page, snapshot.end_page);
    snapshot.audit_sums.clear();
    std::erase(file->live, &snapshot);
    snapshot.pages_kept = 0;
  }
  return collect_range(*file, snapshot.collected_page, snapshot.end_page);
}

}  // namespace strictsend::pagecache
