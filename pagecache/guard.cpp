// SPDX-License-Identifier: Apache-2.0
#include "pagecache/guard.hpp"

#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <poll.h>
#include <time.h>
#include <unistd.h>
#include <utility>

#include "base/mutation.hpp"
#include "base/thread.hpp"
#include "pagecache/cache_core.hpp"
#include "pagecache/page_changer.hpp"

namespace strictsend::pagecache {
namespace {

/// Without anything pending the guard still looks this often, for frames whose pins went late.
constexpr Duration idle_sleep = milliseconds(100);
/// Ticks that found nothing to do become rarer up to this factor.
constexpr std::int64_t tick_stretch_max = 8;
/// After a fault the next is often near: reads tried before sleeping in poll.
constexpr int reads_before_sleep = 32;

}  // namespace

Result<std::unique_ptr<Guard>> Guard::start(CacheCore& core) {
  UniqueFd wake_fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_fd.valid()) return fail("eventfd for the write guard", errno);
  std::unique_ptr<Guard> guard(new Guard(core, std::move(wake_fd)));
  auto thread = start_thread("strictsend-grd", [raw = guard.get()] { raw->run(); });
  if (!thread) return tl::unexpected(thread.error());
  guard->thread_ = *std::move(thread);
  return guard;
}

Guard::~Guard() {
  stop();
}

void Guard::stop() {
  if (!thread_.joinable()) return;
  stopping_.store(true);
  hurry();
  thread_.join();
}

void Guard::hurry() {
  hurry_.store(true);
  const std::uint64_t one = 1;
  (void)!::write(wake_fd_.get(), &one, sizeof one);
}

void Guard::wake_if_idle() {
  if (idle_.exchange(false)) hurry();
}

void Guard::add(std::shared_ptr<CachedFile> file) {
  {
    const std::scoped_lock lock(added_mutex_);
    added_.push_back(std::move(file));
    work_.fetch_add(1);
  }
  wake_if_idle();
}

bool Guard::has_work() const {
  return work_.load() != 0;
}

void Guard::run() {
  const Duration shortest = core_.tuning().guard_tick;
  Duration interval = shortest;
  Time next_tick = monotonic_now();
  int reads_left = 0;
  while (!stopping_.load()) {
    if (answer_faults()) reads_left = reads_before_sleep;
    if (hurry_.exchange(false) || monotonic_now() >= next_tick) {
      const bool worked = tick();
      interval = worked || !waiting_faults_.empty()
                     ? shortest
                     : std::min(interval * 2, shortest * tick_stretch_max);
      next_tick = monotonic_now() + interval;
    }
    if (reads_left > 0) {
      --reads_left;
      continue;
    }
    // Announce the sleep, then look again: who gives work afterwards sees the announcement.
    idle_.store(true);
    const bool pending = core_.snapshots().outside() != 0 || has_work() ||
                         core_.allocator().waiting_frames() != 0 ||
                         core_.spare_waiters().waiting_since().has_value();
    if (pending) idle_.store(false);
    sleep(pending ? next_tick - monotonic_now() : idle_sleep);
    idle_.store(false);
  }
  // What was released before the stop is collected, so that the balance is right.
  finish_released();
  while (look_after_files()) {
  }
  core_.allocator().reap_waiting();
  for (SnapshotState* snapshot : still_queued_)
    core_.snapshots().put_back(snapshot);
  still_queued_.clear();
  waiting_faults_.clear();
  files_.clear();
  const std::scoped_lock lock(added_mutex_);
  added_.clear();
}

void Guard::sleep(Duration limit) {
  if (limit.ns <= 0) return;
  std::array<pollfd, 2> fds{};
  fds[0] = {wake_fd_.get(), POLLIN, 0};
  fds[1] = {core_.uffd() != nullptr ? core_.uffd()->fd() : -1, POLLIN, 0};
  const timespec timeout{limit.ns / 1'000'000'000, limit.ns % 1'000'000'000};
  if (::ppoll(fds.data(), fds.size(), &timeout, nullptr) > 0 && (fds[0].revents & POLLIN) != 0) {
    std::uint64_t count = 0;
    (void)!::read(wake_fd_.get(), &count, sizeof count);
  }
}

bool Guard::answer_faults() {
  if (core_.uffd() == nullptr) return false;
  std::array<uffd_msg, 16> messages{};
  const std::size_t count = core_.uffd()->read(messages);
  if (count == 0) return false;
  const Time since = monotonic_now();
  for (std::size_t i = 0; i < count; ++i) {
    if (messages[i].event == UFFD_EVENT_PAGEFAULT) answer(messages[i], since);
  }
  return true;
}

void Guard::answer(const uffd_msg& message, Time since) {
  const std::uint64_t number = message.arg.pagefault.address & ~(page_bytes - 1);
  // The kernel hands the address over as a number.
  auto* address = reinterpret_cast<std::byte*>(number);  // NOLINT(performance-no-int-to-ptr)
  PageIndex page;
  const std::shared_ptr<CachedFile> file = core_.mappings().find(address, page);
  if (file == nullptr) {
    core_.uffd()->wake(address, page_bytes);
    return;
  }
  const bool write = (message.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP) != 0;
  if (write) core_.counters().write_faults.fetch_add(1, std::memory_order_relaxed);
  WaitingFault fault{file, page.value, write, since};
  if (answer(fault) == Answer::answered) {
    note_stall(since);
  } else {
    core_.counters().writer_waits.fetch_add(1, std::memory_order_relaxed);
    waiting_faults_.push_back(std::move(fault));
    work_.fetch_add(1);
    if (core_.keeps_all_it_may()) hurry_.store(true);  // what helps is its own to do
  }
}

Guard::Answer Guard::answer(const WaitingFault& fault) const {
  return fault.write ? answer_write(*fault.file, fault.page)
                     : answer_missing(fault.file, fault.page);
}

/// A page without an entry in the page table.
Guard::Answer Guard::answer_missing(const std::shared_ptr<CachedFile>& file,
                                    std::uint64_t page) const {
  const std::scoped_lock lock(file->lock);
  Mapping& mapping = *file->mapping;
  if (page >= mapping.pages()) {
    mapping.wake(page);
    return Answer::answered;
  }
  if (!file->hidden.test(page)) {
    mapping.install(page, !file->unprotected.test(page));
    return Answer::answered;
  }
  PageChanger changer(core_, *file);
  if (changer.is_in_memory(page)) return changer.show(page) ? Answer::answered : Answer::put_aside;
  // The loader wakes the thread, which then faults once more.
  if (!core_.wants().want_for_mapping({file, page})) mapping.lose(page);
  return Answer::answered;
}

Guard::Answer Guard::answer_write(CachedFile& file, std::uint64_t page) const {
  std::unique_lock lock(file.lock);
  // Cut off meanwhile, or evicted: then the thread faults again, as at any page that is not shown.
  if (page >= file.mapping->pages() || file.hidden.test(page)) {
    file.mapping->wake(page);
    return Answer::answered;
  }
  PageChanger changer(core_, file);
  if (!changer.make_writable(page, PageChanger::Writer::fault)) return Answer::put_aside;
  if (mutation_active(Mutation::lift_without_lock) && !file.unprotected.test(page)) {
    lock.unlock();
    yield_point();
    file.mapping->unprotect(page, 1);
    lock.lock();
    file.unprotected.set(page);
  }
  return Answer::answered;
}

void Guard::retry_waiting_faults() {
  for (std::size_t left = waiting_faults_.size(); left != 0; --left) {
    WaitingFault fault = std::move(waiting_faults_.front());
    waiting_faults_.pop_front();
    if (answer(fault) == Answer::answered) {
      note_stall(fault.since);
      work_.fetch_sub(1);
    } else {
      waiting_faults_.push_back(std::move(fault));
    }
  }
}

void Guard::note_stall(Time since) {
  const auto stall_ns = static_cast<std::uint64_t>((monotonic_now() - since).ns);
  std::atomic<std::uint64_t>& longest = core_.counters().writer_stall_ns_max;
  if (stall_ns > longest.load(std::memory_order_relaxed))
    longest.store(stall_ns, std::memory_order_relaxed);
}

}  // namespace strictsend::pagecache
