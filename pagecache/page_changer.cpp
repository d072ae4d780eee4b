// SPDX-License-Identifier: Apache-2.0
#include "pagecache/page_changer.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "base/assert.hpp"
#include "base/mutation.hpp"
#include "pagecache/audit.hpp"
#include "pagecache/cache_core.hpp"

namespace strictsend::pagecache {
namespace {

PageEntry& entry_of(const CachedFile& file, std::uint64_t page) {
  return file.table[PageIndex{static_cast<std::uint32_t>(page)}];
}

FrameIndex current_of(const PageEntry& entry) {
  return FrameIndex{entry.current.load(std::memory_order_relaxed)};
}

// Only the holder of the file's lock writes a page's entry, so its own loads may be relaxed.
void mark(PageEntry& entry) {
  const std::uint32_t odd = entry.seq.load(std::memory_order_relaxed) + 1;
  // Two calls: an order that is not constant is compiled as the strongest.
  if (mutation_active(Mutation::relaxed_mark)) {
    entry.seq.store(odd, std::memory_order_relaxed);
  } else {
    entry.seq.store(odd, std::memory_order_seq_cst);
  }
}

void unmark(PageEntry& entry) {
  entry.seq.store(entry.seq.load(std::memory_order_relaxed) + 1, std::memory_order_release);
}

bool is_pinned(const FrameTable& frames, FrameIndex frame) {
  return frames[frame].pins.load(std::memory_order_seq_cst) != 0;
}

/// The first of the live snapshots with this epoch or a later one.
std::vector<SnapshotState*>::const_iterator first_live(const CachedFile& file,
                                                       std::uint64_t epoch) {
  return std::lower_bound(file.live.begin(), file.live.end(), epoch,
                          [](const SnapshotState* s, std::uint64_t e) { return s->epoch < e; });
}

std::uint64_t newest_bound(const FrameTable& frames, const PageEntry& entry) {
  const FrameIndex newest{entry.history.load(std::memory_order_relaxed)};
  return newest == no_frame ? 0 : frames[newest].bound.load(std::memory_order_relaxed);
}

}  // namespace

/// One run of the preserve decision with what its actions work on.
struct PageChanger::Preserving {
  std::uint64_t page = 0;
  Writer writer = Writer::fault;
  PageEntry& entry;
  bool needed = false;  ///< its old bytes, by a snapshot
  FrameIndex spare = no_frame;
  FrameIndex old = no_frame;
};

bool PageChanger::needed(std::uint64_t page) const {
  const std::uint64_t bound = newest_bound(core_.frames(), entry_of(file_, page));
  for (auto it = file_.live.rbegin(); it != file_.live.rend() && (*it)->epoch >= bound; ++it) {
    if ((*it)->covers(page)) return true;
  }
  return false;
}

bool PageChanger::interval_needed(std::uint64_t page, std::uint64_t lo, std::uint64_t hi) const {
  const std::vector<SnapshotState*>& live = file_.live;
  if (mutation_active(Mutation::collect_too_early)) {
    return !live.empty() && live.back()->epoch >= lo && live.back()->epoch < hi &&
           live.back()->covers(page);
  }
  for (auto it = first_live(file_, lo); it != live.end() && (*it)->epoch < hi; ++it) {
    if ((*it)->covers(page)) return true;
  }
  return false;
}

bool PageChanger::keeps_for(std::uint64_t page, std::uint64_t epoch) const {
  return newest_bound(core_.frames(), entry_of(file_, page)) > epoch;
}

void PageChanger::copy_page(FrameIndex from, FrameIndex to) const {
  std::memcpy(core_.arena().dma(to), core_.arena().dma(from), page_bytes);
}

void PageChanger::push_history(std::uint64_t page, FrameIndex frame) {
  PageEntry& entry = entry_of(file_, page);
  const std::uint64_t oldest_new = newest_bound(core_.frames(), entry);
  Frame& node = core_.frames()[frame];
  node.older.store(entry.history.load(std::memory_order_relaxed), std::memory_order_release);
  node.bound.store(file_.epoch, std::memory_order_release);
  entry.history.store(frame.value, std::memory_order_release);
  core_.one_more_is_kept();
  file_.has_history.set(page);
  for (auto it = file_.live.rbegin(); it != file_.live.rend() && (*it)->epoch >= oldest_new; ++it) {
    if (page < (*it)->collected_page || page >= (*it)->end_page) continue;
    ++(*it)->pages_kept;
    if ((*it)->covers(page)) (*it)->pages_preserved.fetch_add(1, std::memory_order_relaxed);
  }
  core_.needs_upkeep(file_);
}

void PageChanger::unlink(std::uint64_t page, std::atomic<std::uint32_t>& link, FrameIndex node) {
  PageEntry& entry = entry_of(file_, page);
  const bool newest = &link == &entry.history;
  mark(entry);
  link.store(core_.frames()[node].older.load(std::memory_order_relaxed), std::memory_order_release);
  unmark(entry);
  // Who would have read it and does not need to any more. Where there is a newer one, that is what
  // such a snapshot would read now.
  if (newest) {
    const std::uint64_t hi = core_.frames()[node].bound.load(std::memory_order_relaxed);
    for (auto it = first_live(file_, newest_bound(core_.frames(), entry));
         it != file_.live.end() && (*it)->epoch < hi; ++it)
      if (page >= (*it)->collected_page && page < (*it)->end_page) --(*it)->pages_kept;
  }
  core_.counters().frames_history.fetch_sub(1, std::memory_order_relaxed);
}

bool PageChanger::make_writable(std::uint64_t page, Writer writer) {
  PageEntry& entry = entry_of(file_, page);
  if (file_.unprotected.test(page)) {
    // An unprotected page's frame has no valid pin and no snapshot reads it.
    if (writer == Writer::fault) file_.mapping->unprotect(page, 1);
    file_.dirty.set(page);
    return true;
  }
  Preserving run{page, writer, entry, needed(page)};
  const FrameIndex current = current_of(entry);
  PreserveEvent event = examined(run.needed, is_pinned(core_.frames(), current));
  PreserveState state;
  while (state.phase != PreservePhase::done) {
    const PreserveStep next = step(state, event);
    state = next.state;
    for (const PreserveAction action : next.actions) {
      if (action == PreserveAction::defer) return false;
      event = perform(run, action);
    }
  }
  file_.dirty.set(page);
  file_.written = true;
  return true;
}

/// The returned event is looked at only after actions that have an outcome.
PreserveEvent PageChanger::perform(Preserving& run, PreserveAction action) {
  const FrameTable& frames = core_.frames();
  PageEntry& entry = run.entry;
  switch (action) {
    case PreserveAction::take_spare:
      if (run.needed && core_.keeps_all_it_may()) return PreserveEvent::spare_refused;
      run.spare = core_.allocator().take_spare();
      return run.spare == no_frame ? PreserveEvent::spare_refused : PreserveEvent::spare_taken;
    case PreserveAction::copy_to_spare:
      run.old = current_of(entry);
      if (!mutation_active(Mutation::redirect_exposes_early)) copy_page(run.old, run.spare);
      break;
    case PreserveAction::mark:
      mark(entry);
      yield_point();
      break;
    case PreserveAction::read_pins: {
      const bool pinned = is_pinned(frames, current_of(entry));
      if (mutation_active(Mutation::redirect_exposes_early) && !pinned)
        copy_page(run.old, run.spare);
      yield_point();
      return pinned ? PreserveEvent::marked_pinned : PreserveEvent::marked_idle;
    }
    case PreserveAction::unmark:
      unmark(entry);
      break;
    case PreserveAction::spare_into_history:
      push_history(run.page, run.spare);
      core_.counters().pages_preserved.fetch_add(1, std::memory_order_relaxed);
      break;
    case PreserveAction::current_into_history:
      push_history(run.page, run.old);
      break;
    case PreserveAction::spare_becomes_current:
      entry.current.store(run.spare.value, std::memory_order_release);
      core_.counters().pages_redirected.fetch_add(1, std::memory_order_relaxed);
      if (!file_.away.test(run.page)) {
        file_.away.set(run.page);
        core_.counters().pages_away.fetch_add(1, std::memory_order_relaxed);
      }
      core_.needs_upkeep(file_);
      break;
    case PreserveAction::old_frame_waits:
      // The home frame stays reserved for the coming home.
      if (run.old.value != entry.home) core_.allocator().retire(run.old);
      break;
    case PreserveAction::free_spare:
      core_.allocator().retire(run.spare);
      break;
    case PreserveAction::move_writer: {
      if (!is_mapped(run.page)) {
        if (mutation_active(Mutation::redirect_exposes_early)) copy_page(run.old, run.spare);
        return PreserveEvent::writer_moved;
      }
      if (!file_.away.test(run.page) && !core_.has_room_for_redirect()) {
        return PreserveEvent::move_refused;
      }
      const bool protect = run.writer == Writer::api;
      bool touched = false;
      if (file_.mapping->move_page(run.page, run.spare, protect, touched) != 0) {
        return PreserveEvent::move_refused;
      }
      if (mutation_active(Mutation::redirect_exposes_early)) {
        yield_point();
        copy_page(run.old, run.spare);
      }
      if (!protect) file_.unprotected.set(run.page);
      return PreserveEvent::writer_moved;
    }
    case PreserveAction::lift:
      if (run.writer == Writer::fault && !mutation_active(Mutation::lift_without_lock)) {
        lift(run.page);
      }
      break;
    case PreserveAction::defer:
      break;
  }
  return PreserveEvent::examined_idle;
}

void PageChanger::lift(std::uint64_t page) {
  if (!is_mapped(page)) return;
  core_.memo().invalidate(current_of(entry_of(file_, page)));
  file_.mapping->unprotect(page, 1);
  if (!mutation_active(Mutation::stale_sticky_bit)) file_.unprotected.set(page);
}

bool PageChanger::move_home_out_of_history(std::uint64_t page) {
  PageEntry& entry = entry_of(file_, page);
  const FrameTable& frames = core_.frames();
  std::atomic<std::uint32_t>* link = &entry.history;
  while (link->load(std::memory_order_relaxed) != entry.home) {
    const FrameIndex node{link->load(std::memory_order_relaxed)};
    if (node == no_frame) return true;
    link = &frames[node].older;
  }
  const FrameIndex home{entry.home};
  if (mutation_active(Mutation::home_exposes_snapshot_frame)) {
    // Takes the frame from its snapshots; the list stays whole, so that the error is a torn
    // snapshot and not a walk that never ends.
    unlink(page, *link, home);
    return true;
  }
  const FrameIndex copy = core_.allocator().take_spare();
  if (copy == no_frame) return false;
  copy_page(home, copy);
  mark(entry);
  yield_point();
  if (is_pinned(frames, home)) {
    unmark(entry);
    core_.allocator().retire(copy);
    return false;
  }
  Frame& node = frames[copy];
  node.bound.store(frames[home].bound.load(std::memory_order_relaxed), std::memory_order_release);
  node.older.store(frames[home].older.load(std::memory_order_relaxed), std::memory_order_release);
  link->store(copy.value, std::memory_order_release);
  unmark(entry);
  return true;
}

bool PageChanger::come_home(std::uint64_t page) {
  PageEntry& entry = entry_of(file_, page);
  const FrameIndex home{entry.home};
  const FrameIndex away = current_of(entry);
  if (is_pinned(core_.frames(), home)) return false;
  if (!move_home_out_of_history(page)) return false;
  // It would leave its frame away to the history.
  if (core_.keeps_all_it_may() && needed(page)) return false;

  const bool was_protected = !file_.unprotected.test(page);
  if (is_mapped(page) && !was_protected && file_.mapping->protect(page, 1) != 0) return false;
  yield_point();
  core_.memo().invalidate(home);
  copy_page(away, home);
  yield_point();
  if (is_mapped(page)) {
    // Window rule: the home frame has the page's bytes, and nobody reads it: it is neither current
    // nor in the history.
    bool touched = false;
    if (file_.mapping->move_page(page, home, was_protected, touched) != 0) {
      if (!was_protected) file_.mapping->unprotect(page, 1);
      return false;
    }
    if (touched) {
      file_.dirty.set(page);
      file_.written = true;
    }
  }
  const bool snapshot_reads_away = needed(page);
  mark(entry);
  if (snapshot_reads_away) push_history(page, away);
  entry.current.store(home.value, std::memory_order_release);
  unmark(entry);
  if (!snapshot_reads_away) core_.allocator().retire(away);
  file_.away.clear(page);
  core_.counters().pages_away.fetch_sub(1, std::memory_order_relaxed);
  core_.counters().pages_came_home.fetch_add(1, std::memory_order_relaxed);
  return true;
}

std::uint64_t PageChanger::collect(std::uint64_t page) {
  PageEntry& entry = entry_of(file_, page);
  const FrameTable& frames = core_.frames();
  std::atomic<std::uint32_t>* link = &entry.history;
  std::uint64_t unlinked = 0;
  for (FrameIndex node{link->load(std::memory_order_relaxed)}; node != no_frame;
       node = FrameIndex{link->load(std::memory_order_relaxed)}) {
    const FrameIndex older{frames[node].older.load(std::memory_order_relaxed)};
    const std::uint64_t hi = frames[node].bound.load(std::memory_order_relaxed);
    const std::uint64_t lo =
        older == no_frame ? 0 : frames[older].bound.load(std::memory_order_relaxed);
    if (interval_needed(page, lo, hi)) {
      link = &frames[node].older;
      continue;
    }
    unlink(page, *link, node);
    ++unlinked;
    if (node.value != entry.home) core_.allocator().retire(node);
  }
  if (entry.history.load(std::memory_order_relaxed) == 0) file_.has_history.clear(page);
  return unlinked;
}

void PageChanger::drop(std::uint64_t page) {
  PageEntry& entry = entry_of(file_, page);
  const FrameIndex current = current_of(entry);
  file_.evicted_sums.erase(page);
  file_.hidden.clear(page);
  if (file_.scattered.test(page)) {
    file_.scattered.clear(page);
    core_.counters().pages_scattered.fetch_sub(1, std::memory_order_relaxed);
  }
  if (current == no_frame) return;
  const FrameIndex home{entry.home};
  const bool keep = needed(page);
  mark(entry);
  if (keep) push_history(page, current);
  entry.current.store(0, std::memory_order_release);
  unmark(entry);
  if (!keep) core_.allocator().retire(current);
  if (file_.away.test(page)) {
    file_.away.clear(page);
    core_.counters().pages_away.fetch_sub(1, std::memory_order_relaxed);
    bool home_is_history = false;
    for (FrameIndex node{entry.history.load(std::memory_order_relaxed)}; node != no_frame;
         node = FrameIndex{core_.frames()[node].older.load(std::memory_order_relaxed)}) {
      home_is_history = home_is_history || node == home;
    }
    if (!home_is_history) core_.allocator().retire(home);
  }
  entry.home = 0;  // collecting frees it as any other frame
  if (file_.evictable) file_.resident.clear(page);
  core_.counters().frames_cached.fetch_sub(1, std::memory_order_relaxed);
  file_.unprotected.clear(page);
  file_.dirty.clear(page);
}

bool PageChanger::is_in_memory(std::uint64_t page) const {
  return current_of(entry_of(file_, page)) != no_frame;
}

void PageChanger::install(std::uint64_t page, FrameIndex frame) {
  PageEntry& entry = entry_of(file_, page);
  STRICTSEND_ASSERT(file_.evictable && current_of(entry) == no_frame);
  entry.home = frame.value;
  core_.frames()[frame].used.store(true, std::memory_order_relaxed);
  mark(entry);
  entry.current.store(frame.value, std::memory_order_release);
  unmark(entry);
  file_.resident.set(page);
  file_.evicted_sums.erase(page);
  core_.counters().frames_cached.fetch_add(1, std::memory_order_relaxed);
}

bool PageChanger::hide(std::uint64_t page) {
  const bool scattered = file_.scattered.test(page);
  if (!scattered && !core_.has_room_for_scattering()) return false;
  if (mutation_active(Mutation::evict_in_plain_sight)) return true;
  if (file_.mapping->hide(page) != 0) return false;
  file_.hidden.set(page);
  if (!scattered) {
    file_.scattered.set(page);
    core_.counters().pages_scattered.fetch_add(1, std::memory_order_relaxed);
  }
  return true;
}

bool PageChanger::show(std::uint64_t page) {
  STRICTSEND_ASSERT(file_.hidden.test(page));
  const PageEntry& entry = entry_of(file_, page);
  const bool was_dirty = file_.dirty.test(page);
  const bool was_written = file_.written;
  // Window rule: the page is writable for an instant, so it must be a frame that nobody reads.
  if ((needed(page) || is_pinned(core_.frames(), current_of(entry))) &&
      !mutation_active(Mutation::show_what_is_read) && !make_writable(page, Writer::api))
    return false;
  bool touched = mutation_active(Mutation::show_what_is_read);
  core_.memo().invalidate(current_of(entry));
  const bool protect = !mutation_active(Mutation::show_what_is_read);
  const bool moved = file_.mapping->move_page(page, current_of(entry), protect, touched) == 0;
  if (moved) {
    file_.hidden.clear(page);
    core_.frames()[current_of(entry)].used.store(true, std::memory_order_relaxed);
  }
  if (moved && touched) {
    file_.dirty.set(page);
    file_.written = true;
  } else {
    // Preserving counts as a write, and nobody has written.
    if (!was_dirty) file_.dirty.clear(page);
    file_.written = was_written;
  }
  return moved;
}

std::uint64_t PageChanger::sum_of(std::uint64_t page, FrameIndex frame) const {
  const std::byte* const bytes = core_.arena().dma(frame);
  const std::uint64_t size = file_.size_bytes.load(std::memory_order_relaxed);
  const std::uint64_t begin = page << page_shift;
  if (begin + page_bytes <= size)
    return audit_sum(std::span<const std::byte, page_bytes>(bytes, page_bytes));
  std::array<std::byte, page_bytes> cleared{};
  if (begin < size) std::memcpy(cleared.data(), bytes, size - begin);
  return audit_sum(cleared);
}

bool PageChanger::is_what_was_evicted(std::uint64_t page, FrameIndex frame) const {
  const auto sum = file_.evicted_sums.find(page);
  return sum == file_.evicted_sums.end() || sum->second == sum_of(page, frame);
}

bool PageChanger::may_leave(std::uint64_t page) const {
  // Nobody would answer a fault any more.
  if (core_.is_shut_down() || file_.kept_resident != 0) return false;
  const FrameIndex frame = current_of(entry_of(file_, page));
  const bool written = file_.dirty.test(page) || file_.unprotected.test(page);
  if (frame == no_frame || (written && !mutation_active(Mutation::evict_written)) ||
      file_.away.test(page) ||
      (is_pinned(core_.frames(), frame) && !mutation_active(Mutation::evict_under_descriptor)))
    return false;
  // A mapping shows more of its last page than there is of the file.
  const bool last_in_part = file_.mapping != nullptr && page + 1 == file_.page_count &&
                            file_.size_bytes.load(std::memory_order_relaxed) % page_bytes != 0;
  const bool is_last_copy = file_.is_irrecoverable() && (needed(page) || file_.mapping != nullptr);
  return !last_in_part && !is_last_copy;
}

bool PageChanger::evict(std::uint64_t page) {
  PageEntry& entry = entry_of(file_, page);
  const FrameIndex frame = current_of(entry);
  if (is_mapped(page) && !hide(page)) return false;
  if (!file_.paged) file_.evicted_sums[page] = sum_of(page, frame);
  // A sender that pins the frame from here on sees the mark when it looks again; one that had
  // pinned it after all keeps it: the allocator waits for pins.
  mark(entry);
  yield_point();
  entry.current.store(0, std::memory_order_release);
  unmark(entry);
  entry.home = 0;
  file_.resident.clear(page);
  core_.counters().frames_cached.fetch_sub(1, std::memory_order_relaxed);
  core_.allocator().retire(frame);
  return true;
}

}  // namespace strictsend::pagecache
