// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/snapshot_stress.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <deque>
#include <memory>
#include <mutex>
#include <random>
#include <sched.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "tests/support/cached_files.hpp"

namespace strictsend::pagecache {
namespace {

constexpr std::uint32_t writer_count = 4;
constexpr std::uint32_t sender_count = 2;

// A word is [what the writer had seen of its neighbour's writes | its own write number].
constexpr std::uint64_t number_of(std::uint64_t word) {
  return word & 0xffffffff;
}
constexpr std::uint64_t seen_of(std::uint64_t word) {
  return word >> 32;
}

std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9;
  x ^= x >> 27;
  x *= 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

struct Writer {
  std::atomic<std::uint64_t> begun{0};
  std::atomic<std::uint64_t> ended{0};
};

/// What one snapshot was seen to hold, filled by late reads.
struct Image {
  std::uint32_t begin_page = 0;
  std::uint32_t end_page = 0;
  std::array<std::uint64_t, writer_count> ended_before{};
  std::array<std::uint64_t, writer_count> begun_after{};
  std::vector<std::array<std::uint64_t, writer_count>> words;  // by page
  std::vector<bool> seen;
  std::uint32_t in_flight = 0;
  bool complete = false;
};

struct Descriptor {
  FrameIndex frame;
  std::uint32_t page = 0;
  Image* image = nullptr;
};

class Storm {
 public:
  explicit Storm(const StormConfig& config) : config_(config) {}

  StormResult run();

 private:
  [[nodiscard]] std::uint32_t page_of(std::uint32_t writer, std::uint64_t number) const {
    return static_cast<std::uint32_t>(
        mix(config_.seed * 1'000'003 + writer * 7919 + number * 0x9e3779b97f4a7c15) %
        config_.pages);
  }
  static std::uint64_t word_offset(std::uint32_t writer) { return 8 + writer * 1000; }
  std::atomic_ref<std::uint64_t> word(std::byte* page, std::uint32_t writer) const {
    return std::atomic_ref<std::uint64_t>(
        *reinterpret_cast<std::uint64_t*>(page + word_offset(writer)));
  }

  void write_loop(std::uint32_t writer);
  void store_word(std::uint32_t writer, std::uint32_t page, std::uint64_t value);
  void send_loop(std::uint32_t sender);
  void complete_oldest(std::deque<Descriptor>& in_flight);
  void check(const Image& image);
  void check_writer(const Image& image, std::uint32_t writer, std::uint64_t& last);
  void violation(const std::string& text);

  const StormConfig config_;
  std::shared_ptr<CacheCore> core_;
  std::shared_ptr<CachedFile> file_;
  std::byte* mapping_ = nullptr;
  std::array<Writer, writer_count> writers_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> failed_{false};
  std::atomic<std::uint64_t> snapshots_{0};
  std::mutex violation_mutex_;
  std::string violation_;
  Time deadline_;
};

void Storm::violation(const std::string& text) {
  const std::scoped_lock lock(violation_mutex_);
  if (violation_.empty()) violation_ = text;
  failed_ = true;
}

void Storm::store_word(std::uint32_t writer, std::uint32_t page, std::uint64_t value) {
  const bool by_api = mapping_ == nullptr || writer == writer_count - 1;
  if (by_api) {
    FileEdit edit(*file_);
    if (std::byte* bytes = edit.writable(PageIndex{page}); bytes != nullptr) {
      word(bytes, writer).store(value, std::memory_order_relaxed);
    } else {
      violation("a write found no frame");
    }
    return;
  }
  std::byte* bytes = mapping_ + std::uint64_t{page} * page_bytes;
  if (writer == writer_count - 2 && core_->uffd()->sees_kernel_faults()) {
    thread_local int fds[2] = {-1, -1};
    if (fds[0] < 0 && ::pipe(fds) != 0) return violation("pipe");
    if (::write(fds[1], &value, sizeof value) != sizeof value ||
        ::read(fds[0], bytes + word_offset(writer), sizeof value) != sizeof value) {
      violation("read(2) into the mapping failed with errno " + std::to_string(errno));
    }
    return;
  }
  word(bytes, writer).store(value, std::memory_order_release);
}

void Storm::write_loop(std::uint32_t writer) {
  std::minstd_rand random(static_cast<unsigned>(config_.seed * 31 + writer));
  const Writer& neighbour = writers_[(writer + 1) % writer_count];
  for (std::uint64_t number = 1; !stop_ && number < 0xffffffff; ++number) {
    const std::uint64_t seen = neighbour.ended.load(std::memory_order_acquire);
    writers_[writer].begun.store(number, std::memory_order_release);
    store_word(writer, page_of(writer, number), number | (seen << 32));
    writers_[writer].ended.store(number, std::memory_order_release);
    if (random() % 8 == 0) ::sched_yield();
  }
}

void Storm::complete_oldest(std::deque<Descriptor>& in_flight) {
  const Descriptor done = in_flight.front();
  in_flight.pop_front();
  // Only now does the device read.
  Image& image = *done.image;
  std::array<std::uint64_t, writer_count> words{};
  for (std::uint32_t writer = 0; writer < writer_count; ++writer)
    words[writer] = word(core_->arena().dma(done.frame), writer).load(std::memory_order_relaxed);
  core_->unpin(done.frame);
  if (!image.seen[done.page]) {
    image.words[done.page] = words;
    image.seen[done.page] = true;
  } else if (image.words[done.page] != words) {
    violation("page " + std::to_string(done.page) + " read differently the second time");
  }
  --image.in_flight;
}

void Storm::send_loop(std::uint32_t sender) {
  std::minstd_rand random(static_cast<unsigned>(config_.seed * 77 + sender));
  std::deque<Descriptor> in_flight;
  std::deque<Image> images;
  while (!stop_ && !failed_) {
    Image& image = images.emplace_back();
    for (std::uint32_t writer = 0; writer < writer_count; ++writer)
      image.ended_before[writer] = writers_[writer].ended.load(std::memory_order_acquire);
    image.begin_page = 0;
    image.end_page = config_.pages;
    if (random() % 4 == 0) {
      image.begin_page = static_cast<std::uint32_t>(random() % config_.pages);
      image.end_page = image.begin_page + 1 +
                       static_cast<std::uint32_t>(random() % (config_.pages - image.begin_page));
    }
    auto frozen = core_->freeze(file_, std::uint64_t{image.begin_page} * page_bytes,
                                std::uint64_t{image.end_page - image.begin_page} * page_bytes);
    for (std::uint32_t writer = 0; writer < writer_count; ++writer)
      image.begun_after[writer] = writers_[writer].begun.load(std::memory_order_acquire);
    if (!frozen) {
      images.pop_back();
      ::sched_yield();  // the guard has yet to collect released ones
      continue;
    }
    SnapshotState* snapshot = *frozen;
    image.words.resize(config_.pages);
    image.seen.resize(config_.pages);

    const std::size_t depth = 1 + random() % 12;
    const bool slow = random() % 4 == 0;
    const auto transmit = [&](std::uint32_t page) {
      FrameIndex frame;
      PinOutcome outcome = PinOutcome::busy;
      while ((outcome = core_->resolve_and_pin(*snapshot, PageIndex{page}, frame)) ==
             PinOutcome::busy) {
        if (failed_) return;
      }
      if (outcome == PinOutcome::revoked) return violation("revoked without need");
      in_flight.push_back({frame, page, &image});
      ++image.in_flight;
      while (in_flight.size() > depth)
        complete_oldest(in_flight);
    };
    std::uint32_t acked = image.begin_page;
    for (std::uint32_t page = image.begin_page; page < image.end_page && !failed_; ++page) {
      transmit(page);
      if (random() % 4 == 0)
        transmit(acked + static_cast<std::uint32_t>(random() % (page - acked + 1)));
      if (random() % 16 == 0 && page > acked) {
        // Acknowledged while retransmissions of it may still be under descriptors.
        acked += static_cast<std::uint32_t>(random() % (page - acked));
        advance_snapshot(*snapshot, std::uint64_t{acked} * page_bytes, Time{});
      }
      if (slow && random() % 16 == 0) ::usleep(100 + static_cast<unsigned>(random() % 200));
      if (random() % 8 == 0) ::sched_yield();
    }
    core_->release(snapshot);
    image.complete = true;
    ++snapshots_;
    if (random() % 2 == 0) ::sched_yield();
    while (images.front().complete && images.front().in_flight == 0 && images.size() > 1) {
      if (!failed_) check(images.front());
      images.pop_front();
    }
    if (snapshots_ >= config_.snapshots || monotonic_now() >= deadline_) break;
  }
  while (!in_flight.empty())
    complete_oldest(in_flight);
  for (const Image& image : images) {
    if (!failed_) check(image);
  }
}

void Storm::check_writer(const Image& image, std::uint32_t writer, std::uint64_t& last) {
  const auto name = [&] { return "writer " + std::to_string(writer) + ": "; };
  last = 0;
  std::uint64_t last_word = 0;
  for (std::uint32_t page = image.begin_page; page < image.end_page; ++page) {
    const std::uint64_t value = image.words[page][writer];
    if (number_of(value) > last) {
      last = number_of(value);
      last_word = value;
    }
  }
  if (last > image.begun_after[writer]) {
    return violation(name() + "holds a write that began after the freeze");
  }
  // Walk back from the last write: each page must hold the newest write to it.
  std::vector<bool> met(config_.pages);
  std::uint32_t left = image.end_page - image.begin_page;
  const std::uint64_t newest = std::max(last, image.ended_before[writer]);
  for (std::uint64_t number = newest; number != 0 && left != 0; --number) {
    const std::uint32_t page = page_of(writer, number);
    if (page < image.begin_page || page >= image.end_page || met[page]) continue;
    met[page] = true;
    --left;
    if (number_of(image.words[page][writer]) != number) {
      return violation(name() + "page " + std::to_string(page) + " holds write " +
                       std::to_string(number_of(image.words[page][writer])) + " instead of " +
                       std::to_string(number) + ", the snapshot reaches to " +
                       std::to_string(last) + ", before it ended " +
                       std::to_string(image.ended_before[writer]));
    }
  }
  for (std::uint32_t page = image.begin_page; page < image.end_page; ++page) {
    if (!met[page] && image.words[page][writer] != 0) {
      return violation(name() + "a page that was never written holds something");
    }
  }
  if (seen_of(last_word) != 0) {
    // The writer had seen this write of its neighbour end: it is in the snapshot, where it shows.
    const std::uint32_t neighbour = (writer + 1) % writer_count;
    const std::uint32_t page = page_of(neighbour, seen_of(last_word));
    if (page >= image.begin_page && page < image.end_page &&
        number_of(image.words[page][neighbour]) < seen_of(last_word)) {
      violation(name() + "a write is in the snapshot, one that it depends on is not");
    }
  }
}

void Storm::check(const Image& image) {
  for (std::uint32_t page = image.begin_page; page < image.end_page; ++page) {
    if (!image.seen[page]) return;  // a storm that was ended early
  }
  std::uint64_t last = 0;
  for (std::uint32_t writer = 0; writer < writer_count; ++writer)
    check_writer(image, writer, last);
}

StormResult Storm::run() {
  StormResult result;
  const Time begun = monotonic_now();
  deadline_ = begun + config_.limit;
#ifdef STRICTSEND_MUTATIONS
  MutationControl::seed = config_.seed;
  MutationControl::yield_one_in = config_.yield_one_in;
#endif
  CacheTuning tuning;
  tuning.free_order = FrameAllocator::Order::lifo;
  tuning.guard_tick = microseconds(50);
  CacheConfig cache;
  cache.writer_wait_limit = seconds(1000);  // no victims here
  core_ = make_core(config_.pages, config_.spares * 8, cache, tuning);
  file_ = make_file(*core_, config_.pages);
  if (config_.mapped) {
    auto mapped = core_->map(file_);
    if (!mapped) {
      result.mapping_unavailable = true;
      return result;
    }
    mapping_ = mapped->data();
  }
  std::vector<std::thread> writers;
  for (std::uint32_t writer = 0; writer < writer_count; ++writer)
    writers.emplace_back([this, writer] { write_loop(writer); });
  std::vector<std::thread> senders;
  for (std::uint32_t sender = 0; sender < sender_count; ++sender)
    senders.emplace_back([this, sender] { send_loop(sender); });
  for (std::thread& thread : senders)
    thread.join();
  stop_ = true;
  for (std::thread& thread : writers)
    thread.join();

  if (!failed_ && !core_->settle(seconds(20))) violation("a frame, a snapshot or a pin leaked");
  if (!failed_) {
    // Nothing was lost: the file now holds each writer's last writes.
    Image now;
    now.end_page = config_.pages;
    now.words.resize(config_.pages);
    now.seen.assign(config_.pages, true);
    for (std::uint32_t writer = 0; writer < writer_count; ++writer) {
      now.ended_before[writer] = writers_[writer].ended;
      now.begun_after[writer] = writers_[writer].begun;
      for (std::uint32_t page = 0; page < config_.pages; ++page) {
        const FrameIndex frame{file_->table[PageIndex{page}].current.load()};
        now.words[page][writer] = word(core_->arena().dma(frame), writer).load();
      }
    }
    check(now);
  }
  const CacheStats stats = core_->stats();
  for (const Writer& writer : writers_)
    result.writes += writer.ended;
  result.snapshots = snapshots_;
  result.preserved = stats.pages_preserved;
  result.redirected = stats.pages_redirected;
  result.came_home = stats.pages_came_home;
  result.faults = stats.write_faults;
  result.violation = violation_;
  result.took = monotonic_now() - begun;
  core_->shutdown();
  return result;
}

}  // namespace

StormResult run_storm(const StormConfig& config) {
  return Storm(config).run();
}

}  // namespace strictsend::pagecache
