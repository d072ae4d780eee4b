// SPDX-License-Identifier: Apache-2.0
#include "pagecache/cache_core.hpp"

#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <thread>
#include <utility>

#include "base/assert.hpp"
#include "pagecache/guard.hpp"
#include "pagecache/mapping_probe.hpp"
#include "pagecache/page_changer.hpp"
#include "pagecache/pin.hpp"

namespace strictsend::pagecache {
namespace {

std::uint32_t spare_frames_for(const CacheConfig& config) {
  if (config.spare_frames != 0) return config.spare_frames;
  const std::uint64_t frames = config.cache_bytes >> page_shift;
  // At least 256, but a tiny cache keeps half for its files.
  return static_cast<std::uint32_t>(
      std::min(std::max<std::uint64_t>(frames / 16, 256), frames / 2));
}

/// Ahead of a sender: at first, and at most, doubled each time that it goes on.
constexpr std::uint32_t read_ahead_pages_min = 16;
constexpr std::uint32_t read_ahead_pages_limit = 1024;

/// A page in a VMA of its own splits its neighbours': two more.
std::uint64_t lone_pages_limit() {
  std::uint64_t maps_max = 65530;
  std::ifstream("/proc/sys/vm/max_map_count") >> maps_max;
  return std::max<std::uint64_t>(maps_max / 4 * 3 / 2, 16);
}

}  // namespace

SpareWaiters::Waiting::Waiting(SpareWaiters& waiters) : waiters_(waiters), since_(monotonic_now()) {
  const std::scoped_lock lock(waiters_.mutex_);
  waiters_.since_.insert(since_);
}

SpareWaiters::Waiting::~Waiting() {
  const std::scoped_lock lock(waiters_.mutex_);
  waiters_.since_.erase(waiters_.since_.find(since_));
}

bool SpareWaiters::Waiting::sleep_until(Time deadline) {
  std::unique_lock lock(waiters_.mutex_);
  const std::uint64_t seen = waiters_.generation_;
  const Duration left = deadline - monotonic_now();
  return waiters_.came_back_.wait_for(lock, std::chrono::nanoseconds(left.ns),
                                      [&] { return waiters_.generation_ != seen; });
}

void SpareWaiters::frames_may_be_free() {
  const std::scoped_lock lock(mutex_);
  if (since_.empty()) return;
  ++generation_;
  came_back_.notify_all();
}

std::optional<Time> SpareWaiters::waiting_since() const {
  const std::scoped_lock lock(mutex_);
  if (since_.empty()) return std::nullopt;
  return *since_.begin();
}

Result<std::shared_ptr<CacheCore>> CacheCore::create(const CacheConfig& config,
                                                     const CacheTuning& tuning) {
  CacheConfig complete = config;
  complete.spare_frames = spare_frames_for(config);
  const std::uint64_t cache_frames = config.cache_bytes >> page_shift;
  if (complete.spare_frames == 0 || complete.spare_frames >= cache_frames) {
    return fail("page cache of " + std::to_string(cache_frames) + " frames", EINVAL,
                "it has no room for files beside " + std::to_string(complete.spare_frames) +
                    " spare frames; choose a larger cache");
  }
  auto arena = Arena::create(1 + std::uint64_t{config.port_frames} + cache_frames);
  if (!arena) return tl::unexpected(arena.error());

  std::optional<Userfaultfd> uffd;
  Error uffd_error{"protected mapping", ENOTSUP, "protection is switched off"};
  if (config.protect) {
    auto opened = Userfaultfd::open();
    if (!opened) {
      uffd_error = opened.error();
    } else if (auto missing = missing_for_mappings(*arena, *opened)) {
      uffd_error = *std::move(missing);
    } else {
      uffd = *std::move(opened);
    }
  }
  UniqueFd wants_fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wants_fd.valid()) return fail("eventfd for the loader", errno);
  std::shared_ptr<CacheCore> core(new CacheCore(complete, tuning, *std::move(arena),
                                                std::move(uffd), std::move(uffd_error),
                                                std::move(wants_fd)));
  auto guard = Guard::start(*core);
  if (!guard) return tl::unexpected(guard.error());
  core->guard_ = *std::move(guard);
  return core;
}

CacheCore::CacheCore(const CacheConfig& config, const CacheTuning& tuning, Arena arena,
                     std::optional<Userfaultfd> uffd, Error uffd_error, UniqueFd wants_fd)
    : config_(config),
      tuning_(tuning),
      lone_pages_max_(tuning.lone_pages_max != 0 ? tuning.lone_pages_max : lone_pages_limit()),
      arena_(std::move(arena)),
      frames_(arena_.frames()),
      memo_(arena_.frames()),
      audit_(config.audit ? std::make_unique<FrameAudit>(arena_.dma_view(), arena_.frames())
                          : nullptr),
      allocator_(frames_, memo_, audit_.get(), FrameIndex{1 + config.port_frames},
                 FrameIndex{static_cast<std::uint32_t>(arena_.frames()) - config.spare_frames},
                 FrameIndex{static_cast<std::uint32_t>(arena_.frames())}, tuning.free_order),
      preserved_limits_(
          pagecache::preserved_limits(config, config.spare_frames, allocator_.file_frames())),
      snapshots_(config.snapshots_max),
      wants_(std::move(wants_fd)),
      uffd_(std::move(uffd)),
      uffd_error_(std::move(uffd_error)) {}

CacheCore::~CacheCore() {
  shutdown();
}

void CacheCore::shutdown() {
  const bool again = shut_down_.exchange(true, std::memory_order_acq_rel);
  if (guard_ != nullptr) guard_->stop();
  if (!again) end_hiding();
  if (uffd_) uffd_->close();
}

/// Without anybody who answers faults a hidden page would show another file's bytes.
void CacheCore::end_hiding() {
  for (const std::shared_ptr<CachedFile>& file : mappings_.files()) {
    const std::scoped_lock lock(file->lock);
    PageChanger changer(*this, *file);
    const std::uint64_t end = file->hidden.size();
    for (std::uint64_t page = file->hidden.next(0, end); page < end;
         page = file->hidden.next(page + 1, end))
      // Where old bytes had to be kept for somebody, nobody would collect them any more.
      if (!changer.is_in_memory(page) || changer.needed(page) || !changer.show(page))
        file->mapping->lose(page);
  }
}

Result<std::shared_ptr<CachedFile>> CacheCore::create_file(std::uint64_t size_bytes,
                                                           Residency residency) {
  const std::uint64_t pages = pages_for(size_bytes);
  if (pages > allocator_.file_frames()) {
    return fail("file of " + std::to_string(size_bytes) + " bytes", EFBIG,
                "the cache holds files of at most " +
                    std::to_string(allocator_.file_frames() << page_shift) +
                    " bytes; choose a larger cache");
  }
  auto file = std::make_shared<CachedFile>(shared_from_this(), size_bytes, residency);
  std::vector<FrameRun> runs;
  if (!allocator_.allocate(pages, runs)) {
    return fail("room for a file of " + std::to_string(size_bytes) + " bytes", ENOSPC,
                "the cache is full of files in use; choose a larger cache");
  }
  file->add_pages(runs);
  return file;
}

Result<std::shared_ptr<CachedFile>> CacheCore::create_paged_file(std::uint64_t size_bytes) {
  if (pages_for(size_bytes) > UINT32_MAX) {
    return fail("file of " + std::to_string(size_bytes) + " bytes", EFBIG,
                "files of up to 16 TiB can be sent");
  }
  auto file = std::make_shared<CachedFile>(shared_from_this(), size_bytes, Residency::on_demand);
  file->add_absent_pages(pages_for(size_bytes));
  evictor_.add(file);
  return file;
}

Result<std::span<std::byte>> CacheCore::map(const std::shared_ptr<CachedFile>& file) {
  if (file->paged) {
    return fail("mapping a file", EFBIG,
                "it is too large to be kept in memory as a whole; write it through File, or choose "
                "a larger cache");
  }
  if (config_.protect && !uffd_) {
    return fail("mapping a file", ENOTSUP, uffd_error_.message());
  }
  const std::scoped_lock lock(file->lock);
  if (file->mapping == nullptr) {
    auto mapping = Mapping::reserve(arena_, uffd(), allocator_.total());
    if (!mapping) return tl::unexpected(mapping.error());
    file->mapping = *std::move(mapping);
    mappings_.add(file->mapping->address(), allocator_.total() << page_shift, file);
  }
  Mapping& mapping = *file->mapping;
  std::uint64_t page = 0;
  for (const FrameRun& run : file->extents()) {
    const std::uint64_t skipped =
        std::min<std::uint64_t>(run.count, mapping.pages() > page ? mapping.pages() - page : 0);
    page += run.count;
    if (skipped == run.count) continue;
    STRICTSEND_ASSERT(run.first != no_frame);  // file_map has seen to that
    if (const int error = mapping.append(run.first.plus(static_cast<std::uint32_t>(skipped)),
                                         run.count - skipped);
        error != 0) {
      return fail("mapping a file", error,
                  "if the process has too many mappings, raise vm.max_map_count with sysctl");
    }
  }
  return std::span(mapping.address(), file->size_bytes.load(std::memory_order_relaxed));
}

PinOutcome CacheCore::resolve_and_pin(const SnapshotState& snapshot, PageIndex page,
                                      FrameIndex& frame) const {
  STRICTSEND_DEBUG_ASSERT(snapshot.covers(page.value));
  if (snapshot.revoked.load(std::memory_order_relaxed)) return PinOutcome::revoked;
  const PinOutcome outcome = pin_page(snapshot.file->table[page], frames_, snapshot.epoch, frame);
  // After the pin, seq_cst: either this sees the guard's revocation, or the guard sees the pin.
  if (outcome == PinOutcome::pinned && snapshot.revoked.load(std::memory_order_seq_cst)) {
    unpin(frame);
    return PinOutcome::revoked;
  }
  // What was kept for it alone is gone once it is given up.
  if (outcome == PinOutcome::absent && snapshot.revoked.load(std::memory_order_seq_cst))
    return PinOutcome::revoked;
  return outcome;
}

PinOutcome CacheCore::resolve_for_sending(SnapshotState& snapshot, PageIndex page,
                                          FrameIndex& frame) {
  const PinOutcome outcome = resolve_and_pin(snapshot, page, frame);
  const CachedFile& file = *snapshot.file;
  if (!file.evictable || outcome == PinOutcome::revoked) return outcome;
  if (outcome == PinOutcome::absent && file.load_error.load(std::memory_order_relaxed) != 0) {
    counters_.sends_failed_for_disk.fetch_add(1, std::memory_order_relaxed);
    return PinOutcome::revoked;
  }
  if (!file.paged) {  // all of it was there, and most of it may be still
    if (outcome == PinOutcome::absent) wants_.want(snapshot, page.value, read_ahead_pages_min);
    return outcome;
  }
  const std::uint64_t ahead = snapshot.ahead_page.load(std::memory_order_relaxed);
  if (outcome == PinOutcome::absent && page.value < ahead) {
    // On its way, unless it has left the memory again: asked for once more that does no harm.
    wants_.want(snapshot, page.value, snapshot.ahead_count);
    return outcome;
  }
  // Half of what was read ahead is left: the disk works while the rest is sent.
  if (outcome != PinOutcome::absent && page.value + snapshot.ahead_count / 2 < ahead)
    return outcome;
  const std::uint64_t from = std::max<std::uint64_t>(ahead, page.value);
  if (from >= snapshot.end_page) return outcome;
  snapshot.ahead_count =
      std::clamp(snapshot.ahead_count * 2, read_ahead_pages_min, read_ahead_pages_max());
  snapshot.ahead_page.store(from + snapshot.ahead_count, std::memory_order_relaxed);
  wants_.want(snapshot, from, snapshot.ahead_count);
  return outcome;
}

std::uint32_t CacheCore::read_ahead_pages_max() const {
  const std::uint64_t share = allocator_.file_frames() / 8;
  return static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(share, read_ahead_pages_min, read_ahead_pages_limit));
}

void CacheCore::needs_upkeep(CachedFile& file) {
  if (file.in_upkeep) return;
  file.in_upkeep = true;
  guard_->add(file.shared_from_this());
}

void CacheCore::one_more_is_kept() {
  if (counters_.frames_history.fetch_add(1, std::memory_order_relaxed) <
      preserved_limits_.look_above)
    return;
  if (kept_since_look_.fetch_add(1, std::memory_order_relaxed) + 1 < preserved_limits_.look_every)
    return;
  kept_since_look_.store(0, std::memory_order_relaxed);
  guard_->hurry();
}

CacheStats CacheCore::stats() const {
  const auto load = [](const std::atomic<std::uint64_t>& counter) {
    return counter.load(std::memory_order_relaxed);
  };
  CacheStats stats;
  stats.pages_preserved = load(counters_.pages_preserved);
  stats.pages_redirected = load(counters_.pages_redirected);
  stats.pages_came_home = load(counters_.pages_came_home);
  stats.write_faults = load(counters_.write_faults);
  stats.writer_waits = load(counters_.writer_waits);
  stats.writer_stall_ns_max = load(counters_.writer_stall_ns_max);
  stats.sends_failed_for_writers = load(counters_.victims);
  stats.sends_failed_for_connection_limit = load(counters_.sends_failed_for_connection_limit);
  stats.sends_failed_for_total_limit = load(counters_.sends_failed_for_total_limit);
  stats.frames_total = allocator_.total();
  stats.frames_free = allocator_.free_frames();
  stats.frames_cached = load(counters_.frames_cached);
  stats.frames_history = load(counters_.frames_history);
  stats.frames_port = config_.port_frames;
  stats.frames_pinned = frames_.count_pinned();
  stats.snapshots_live = snapshots_.live();
  stats.pages_loaded = load(counters_.pages_loaded);
  stats.pages_evicted = load(counters_.pages_evicted);
  stats.sends_failed_for_disk = load(counters_.sends_failed_for_disk);
  stats.audit_failures = load(counters_.audit_failures) + allocator_.audit_failures();
  return stats;
}

bool CacheCore::settle(Duration limit) {
  const Time deadline = monotonic_now() + limit;
  const auto balanced = [this] {
    return snapshots_.outside() == 0 && !guard_->has_work() && allocator_.waiting_frames() == 0 &&
           counters_.frames_history.load() == 0 && counters_.pages_away.load() == 0 &&
           allocator_.free_frames() + counters_.frames_cached.load() == allocator_.total() &&
           frames_.count_pinned() == 0;
  };
  while (!balanced()) {
    if (monotonic_now() >= deadline) return false;
    guard_->hurry();
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  allocator_.verify_free();
  return true;
}

std::uint64_t CacheCore::metadata_bytes() const {
  return frames_.size() * (sizeof(Frame) + 2 * sizeof(PageEntry)) + memo_.bytes() +
         snapshots_.bytes() + (audit_ != nullptr ? frames_.size() * sizeof(std::uint64_t) : 0);
}

}  // namespace strictsend::pagecache
