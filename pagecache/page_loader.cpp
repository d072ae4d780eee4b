// SPDX-License-Identifier: Apache-2.0
#include "pagecache/page_loader.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <utility>

#include <spdlog/spdlog.h>

#include "base/thread.hpp"
#include "pagecache/page_changer.hpp"
#include "pagecache/page_in.hpp"

namespace strictsend::pagecache {
namespace {

constexpr Duration idle_sleep = milliseconds(100);
/// What could not be served now is tried again so soon.
constexpr Duration again_after = milliseconds(1);
/// A want for which there is no room is given up after so long.
constexpr Duration room_limit = seconds(10);
/// Brought in around a page that a thread touches.
constexpr std::uint64_t mapped_pages_at_a_time = 16;

}  // namespace

Result<std::unique_ptr<PageLoader>> PageLoader::start(std::shared_ptr<CacheCore> core,
                                                      std::shared_ptr<FileSet> files) {
  std::unique_ptr<PageLoader> loader(new PageLoader(std::move(core), std::move(files)));
  auto thread = start_thread("strictsend-load", [raw = loader.get()] { raw->run(); });
  if (!thread) return tl::unexpected(thread.error());
  loader->thread_ = *std::move(thread);
  return loader;
}

PageLoader::~PageLoader() {
  stopping_.store(true);
  core_->wants().wake_surely();
  if (thread_.joinable()) thread_.join();
}

void PageLoader::run() {
  while (!stopping_.load()) {
    take_wants();
    if (wants_.empty()) {
      core_->wants().sleep(idle_sleep);
      continue;
    }
    const std::size_t before = wants_.size();
    std::erase_if(wants_, [this](const Want& want) {
      if (stopping_.load() || !serve(want)) return false;
      core_->wants().came();
      return true;
    });
    if (wants_.size() == before) core_->wants().sleep(again_after);
  }
  core_->wants().no_loader_any_more();
  take_wants();  // so that their snapshots can be used again
  for (const Want& want : wants_)
    if (want.snapshot == nullptr) answer_mapping(want, false);
}

void PageLoader::take_wants() {
  const Time now = monotonic_now();
  for (FaultedPage& faulted : core_->wants().take_faulted())
    wants_.push_back({.file = std::move(faulted.file),
                      .begin = faulted.page,
                      .end = faulted.page + mapped_pages_at_a_time,
                      .since = now});
  for (SnapshotState* at = core_->wants().take_all(); at != nullptr;) {
    SnapshotState& snapshot = *at;
    at = snapshot.next_wanting;
    // While it is queued its state is not used again, so these belong together.
    Want want{.file = snapshot.file, .snapshot = &snapshot, .epoch = snapshot.epoch, .since = now};
    const std::uint64_t end_page = snapshot.end_page;
    PageWants::answered(snapshot);
    want.begin = snapshot.wanted_page.load(std::memory_order_relaxed);
    want.end =
        std::min(want.begin + snapshot.wanted_count.load(std::memory_order_relaxed), end_page);
    const auto same = std::find_if(wants_.begin(), wants_.end(), [&](const Want& other) {
      return other.snapshot == want.snapshot && other.epoch == want.epoch;
    });
    if (same == wants_.end()) {
      wants_.push_back(std::move(want));
    } else {  // what it wants now is what it needs first
      same->begin = want.begin;
      same->end = want.end;
    }
  }
}

bool PageLoader::serve(const Want& want) {
  if (want.begin >= want.end) return true;
  const auto result = page_in(*files_, *want.file, want.begin, want.end, DiskWait::come_back);
  if (result && *result == PageIn::disk_busy) return false;
  if (result) {
    if (want.snapshot == nullptr) answer_mapping(want, true);
    return true;
  }
  const Error& error = result.error();
  if (error.errno_value == ENOBUFS && monotonic_now() - want.since < room_limit) return false;
  if (want.snapshot == nullptr) {
    spdlog::error("a thread that touches a mapping gets SIGBUS: {}", error.message());
    answer_mapping(want, false);
    return true;
  }
  // Of a file that has changed no send will get on: its load_error says so. Otherwise this one does
  // not.
  if (error.errno_value != ESTALE) {
    spdlog::warn("a send is given up: {}", error.message());
    give_up(want, error.errno_value);
  }
  return true;
}

void PageLoader::answer_mapping(const Want& want, bool has_come) const {
  const std::scoped_lock lock(want.file->lock);
  const Mapping& mapping = *want.file->mapping;
  const bool is_there = want.begin < mapping.pages() && want.file->hidden.test(want.begin);
  const bool in_memory = is_there && PageChanger(*core_, *want.file).is_in_memory(want.begin);
  if (!has_come && is_there && !in_memory)
    mapping.lose(want.begin);
  else
    mapping.wake(want.begin);
}

void PageLoader::give_up(const Want& want, int error) {
  const std::scoped_lock lock(want.file->lock);
  for (SnapshotState* live : want.file->live)
    if (live == want.snapshot && live->epoch == want.epoch) {
      live->failure.store(error, std::memory_order_relaxed);
      live->revoked.store(true, std::memory_order_seq_cst);
      core_->counters().sends_failed_for_disk.fetch_add(1, std::memory_order_relaxed);
    }
}

}  // namespace strictsend::pagecache
