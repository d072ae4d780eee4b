// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/paged_model.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <random>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include "tests/support/cache_on_disk.hpp"

namespace strictsend::test {
namespace {

constexpr std::uint64_t cache_pages = 256;
constexpr std::uint32_t spare_frames = 64;
constexpr std::uint64_t file_pages = 4 * cache_pages;
constexpr std::size_t snapshots_max = 6;

using Bytes = std::vector<std::byte>;

/// A snapshot that is read from front to end, as a send is.
struct Reading {
  TakenSnapshot snapshot;
  Bytes expected;
  std::uint64_t at = 0;
  std::deque<std::pair<FrameIndex, std::uint64_t>> pinned;  // and the page that it is of
};

class PagedModel {
 public:
  explicit PagedModel(const PagedModelConfig& config)
      : config_(config),
        random_(config.seed),
        disk_(cache_config()),
        model_(file_pages * page_bytes - 1234) {
    for (std::byte& byte : model_)
      byte = static_cast<std::byte>(random_());
    put_file(disk_.path("file"), model_);
    file_ = disk_.open("file");
    first_version_ = file_;
  }

  PagedModelResult run() {
    for (std::uint32_t step = 0; step < config_.steps && result_.violation.empty(); ++step) {
      if (config_.foreign_change && step == config_.steps / 2) change_behind_its_back();
      do_something();
    }
    while (!readings_.empty() && result_.violation.empty())
      read_on(readings_.back(), file_pages);
    for (Reading& reading : readings_)
      unpin_all(reading);
    readings_.clear();
    if (!changed_ && result_.violation.empty()) check_disk();
    file_.reset();
    first_version_.reset();
    if (result_.violation.empty() && !disk_.settles()) result_.violation = "it does not balance";
    const pagecache::CacheStats stats = disk_.cache().stats();
    result_.pages_loaded = stats.pages_loaded;
    result_.pages_evicted = stats.pages_evicted;
    return result_;
  }

 private:
  static pagecache::CacheConfig cache_config() {
    pagecache::CacheConfig config = CacheOnDisk::config_of(cache_pages * page_bytes, spare_frames);
    config.writer_wait_limit = seconds(10);  // nobody is to be given up for a writer
    return config;
  }
  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  void violated(std::string what) {
    if (result_.violation.empty()) result_.violation = std::move(what);
  }

  void do_something() {
    switch (below(12)) {
      case 0:
      case 1:
        return begin_reading();
      case 2:
      case 3:
      case 4:
      case 5:
        if (!readings_.empty()) read_on(readings_[below(readings_.size())], 1 + below(100));
        return;
      case 6:
      case 7:
      case 8:
        return write_somewhere();
      case 9:
        return read_somewhere();
      case 10:
        if (below(4) == 0) sync();
        return;
      default:
        if (below(16) == 0) truncate();
    }
  }

  void begin_reading() {
    if (readings_.size() == snapshots_max) return;
    const std::uint64_t offset = below(model_.size());
    const std::uint64_t length = std::min<std::uint64_t>(
        model_.size() - offset, 1 + below(below(2) == 0 ? 100'000 : 2'000'000));
    auto state = disk_.cache().freeze(file_, offset, length);
    if (!state) {
      if (!changed_) violated("freeze: " + state.error().message());
      return;
    }
    if (file_ !=
        first_version_) {  // the changed file is another one, of which the model knows nothing
      disk_.cache().release(*state);
      file_ = first_version_;
      return;
    }
    ++result_.snapshots;
    const auto from = model_.begin() + static_cast<std::ptrdiff_t>(offset);
    readings_.push_back({.snapshot = TakenSnapshot(disk_.cache(), *state),
                         .expected = Bytes(from, from + static_cast<std::ptrdiff_t>(length)),
                         .at = offset});
  }

  /// Pins pages one after the other and looks at their bytes when they have been pinned for a
  /// while.
  void read_on(Reading& reading, std::uint64_t pages) {
    pagecache::SnapshotState& state = reading.snapshot.state();
    const std::uint64_t begin = pagecache::snapshot_offset(state);
    const std::uint64_t end = begin + pagecache::snapshot_length_bytes(state);
    for (; pages > 0 && reading.at < end; --pages) {
      const PageIndex page{static_cast<std::uint32_t>(reading.at >> page_shift)};
      const std::optional<FrameIndex> frame = pin(reading, page);
      if (!frame) return end_reading(reading);
      reading.pinned.emplace_back(*frame, page.value);
      reading.at = (std::uint64_t{page.value} + 1) << page_shift;
      if (reading.pinned.size() > 8) check_and_unpin(reading);
    }
    if (reading.at < end) return;
    while (!reading.pinned.empty())
      check_and_unpin(reading);
    end_reading(reading);
  }

  /// Nothing: it cannot be had any more, as may be after a foreign change.
  std::optional<FrameIndex> pin(Reading& reading, PageIndex page) {
    pagecache::SnapshotState& state = reading.snapshot.state();
    FrameIndex frame;
    const Time deadline = monotonic_now() + seconds(60);
    while (monotonic_now() < deadline) {
      switch (disk_.cache().resolve_and_pin(state, page, frame)) {
        case pagecache::PinOutcome::pinned:
          return frame;
        case pagecache::PinOutcome::absent:
          disk_.cache().wake_loader();
          std::this_thread::sleep_for(std::chrono::microseconds(20));
          break;
        case pagecache::PinOutcome::busy:
          std::this_thread::yield();
          break;
        case pagecache::PinOutcome::revoked:
          ++result_.snapshots_given_up;
          if (!changed_)
            violated(fmt::format("given up: error {}", pagecache::snapshot_failure(state)));
          return std::nullopt;
      }
    }
    violated(fmt::format("page {} did not come in a minute", page.value));
    return std::nullopt;
  }

  void check_and_unpin(Reading& reading) {
    const auto [frame, page] = reading.pinned.front();
    reading.pinned.pop_front();
    pagecache::SnapshotState& state = reading.snapshot.state();
    const std::uint64_t begin = pagecache::snapshot_offset(state);
    const std::uint64_t end = begin + reading.expected.size();
    const std::uint64_t from = std::max(begin, page << page_shift);
    const std::uint64_t to = std::min(end, (page + 1) << page_shift);
    const std::byte* const memory = disk_.cache().dma_view() + offset_of(frame).value;
    if (std::memcmp(memory + (from & (page_bytes - 1)), reading.expected.data() + (from - begin),
                    to - from) != 0)
      violated(fmt::format("a snapshot's page {} has other bytes than at its instant", page));
    disk_.cache().unpin(frame);
    disk_.cache().advance(state, from, monotonic_now());
  }
  void unpin_all(Reading& reading) {
    for (const auto& [frame, page] : reading.pinned)
      disk_.cache().unpin(frame);
    reading.pinned.clear();
  }
  void end_reading(Reading& reading) {
    unpin_all(reading);
    std::swap(reading, readings_.back());
    readings_.pop_back();
  }

  void write_somewhere() {
    const bool at_the_end = below(20) == 0 && model_.size() < (file_pages + 20) * page_bytes;
    const std::uint64_t offset = at_the_end ? model_.size() : below(model_.size());
    Bytes bytes(1 + below(3 * page_bytes));
    if (!at_the_end) bytes.resize(std::min<std::uint64_t>(bytes.size(), model_.size() - offset));
    for (std::byte& byte : bytes)
      byte = static_cast<std::byte>(random_());
    const auto written = pagecache::file_write(*file_, bytes, offset);
    if (!written) {
      if (!changed_) violated("write: " + written.error().message());
      return;
    }
    if (model_.size() < offset + *written) model_.resize(offset + *written);
    std::copy_n(bytes.begin(), *written, model_.begin() + static_cast<std::ptrdiff_t>(offset));
  }

  void read_somewhere() {
    Bytes bytes(1 + below(3 * page_bytes));
    const std::uint64_t offset = below(model_.size());
    const auto read = pagecache::file_read(*file_, bytes, offset);
    if (!read) {
      if (!changed_) violated("read: " + read.error().message());
      return;
    }
    const std::uint64_t expected = std::min<std::uint64_t>(bytes.size(), model_.size() - offset);
    if (*read != expected && !changed_) violated("a read has another length");
    if (!std::equal(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(*read),
                    model_.begin() + static_cast<std::ptrdiff_t>(offset)))
      violated(fmt::format("a read at {} has other bytes", offset));
  }

  void sync() {
    const auto synced = pagecache::file_sync(*file_);
    if (!synced && !changed_) violated("sync: " + synced.error().message());
  }

  void truncate() {
    const std::uint64_t size = model_.size() - below(20 * page_bytes);
    const auto cut = pagecache::file_truncate(*file_, size);
    if (cut) {
      model_.resize(size);
    } else if (cut.error().errno_value != EBUSY && !changed_) {
      violated("truncate: " + cut.error().message());
    }
  }

  /// As another process would: in place, every page.
  void change_behind_its_back() {
    changed_ = true;
    const int fd = ::open(disk_.path("file").c_str(), O_WRONLY | O_CLOEXEC);
    const Bytes other(page_bytes, std::byte{0x5a});
    for (std::uint64_t page = 0; page < file_pages; ++page)
      (void)!::pwrite(fd, other.data(), other.size(), static_cast<off_t>(page << page_shift));
    ::close(fd);
  }

  void check_disk() {
    sync();
    if (get_file(disk_.path("file")) != model_) violated("the disk has other bytes after a sync");
  }

  const PagedModelConfig config_;
  std::mt19937_64 random_;
  CacheOnDisk disk_;
  Bytes model_;
  std::shared_ptr<pagecache::CachedFile> file_;
  std::shared_ptr<pagecache::CachedFile> first_version_;
  std::vector<Reading> readings_;
  bool changed_ = false;
  PagedModelResult result_;
};

}  // namespace

PagedModelResult run_paged_model(const PagedModelConfig& config) {
  return PagedModel(config).run();
}

}  // namespace strictsend::test
