// SPDX-License-Identifier: Apache-2.0
#include "pagecache/page_wants.hpp"

#include <sys/eventfd.h>

#include <poll.h>
#include <time.h>
#include <utility>

namespace strictsend::pagecache {

void PageWants::want(SnapshotState& snapshot, std::uint64_t page, std::uint32_t count) {
  snapshot.wanted_page.store(page, std::memory_order_relaxed);
  snapshot.wanted_count.store(count, std::memory_order_relaxed);
  // The loader clears the flag before it reads the words: it sees these, or the snapshot is queued
  // again.
  if (snapshot.want_queued.exchange(true, std::memory_order_seq_cst)) return;
  snapshot.next_wanting = head_.load(std::memory_order_relaxed);
  while (!head_.compare_exchange_weak(snapshot.next_wanting, &snapshot, std::memory_order_seq_cst,
                                      std::memory_order_relaxed)) {
  }
}

void PageWants::wake_surely() {
  if (sleeping_.load(std::memory_order_seq_cst)) ::eventfd_write(event_fd_.get(), 1);
}

bool PageWants::want_for_mapping(FaultedPage page) {
  {
    const std::scoped_lock lock(mutex_);
    if (!has_loader_) return false;
    faulted_.push_back(std::move(page));
    any_faulted_.store(true, std::memory_order_seq_cst);
  }
  wake_surely();
  return true;
}

void PageWants::no_loader_any_more() {
  const std::scoped_lock lock(mutex_);
  has_loader_ = false;
}

std::vector<FaultedPage> PageWants::take_faulted() {
  if (!any_faulted_.load(std::memory_order_seq_cst)) return {};
  const std::scoped_lock lock(mutex_);
  any_faulted_.store(false, std::memory_order_seq_cst);
  return std::exchange(faulted_, {});
}

void PageWants::came() {
  came_.fetch_add(1, std::memory_order_seq_cst);
  const std::scoped_lock lock(mutex_);
  if (listener_) listener_();
}

void PageWants::listen(std::function<void()> listener) {
  const std::scoped_lock lock(mutex_);
  listener_ = std::move(listener);
}

void PageWants::sleep(Duration limit) {
  // Announce the sleep, then look again: who wants something afterwards sees the announcement.
  sleeping_.store(true, std::memory_order_seq_cst);
  if (head_.load(std::memory_order_seq_cst) == nullptr &&
      !any_faulted_.load(std::memory_order_seq_cst)) {
    pollfd fd{event_fd_.get(), POLLIN, 0};
    const timespec timeout{limit.ns / 1'000'000'000, limit.ns % 1'000'000'000};
    if (::ppoll(&fd, 1, &timeout, nullptr) > 0) {
      eventfd_t count = 0;
      ::eventfd_read(event_fd_.get(), &count);
    }
  }
  sleeping_.store(false, std::memory_order_relaxed);
}

}  // namespace strictsend::pagecache
