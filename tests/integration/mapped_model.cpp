// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/mapped_model.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "tests/support/cache_on_disk.hpp"

namespace strictsend::test {
namespace {

// Two snapshots and that of a sync may keep all of the file each.
constexpr std::uint32_t spare_frames = 512;
constexpr std::uint64_t cache_pages = 192 + spare_frames;
constexpr std::uint64_t front_pages = 100;  // the model's
constexpr std::uint64_t back_pages = 60;    // the other thread's
constexpr std::uint64_t front_bytes = front_pages * page_bytes;
constexpr std::uint64_t file_bytes = front_bytes + back_pages * page_bytes - 123;
constexpr std::uint64_t other_bytes = 120 * page_bytes;
constexpr std::size_t snapshots_max = 2;

using Bytes = std::vector<std::byte>;

/// Writes n = 1, 2, 3 … into page n % back_pages. Page p of a snapshot of the instant at which the
/// newest was K holds the newest n <= K with n % back_pages == p.
class NumberWriter {
 public:
  explicit NumberWriter(std::byte* back)
      : back_(back), thread_([this] {
          while (!stopping_.load()) {
            const std::uint64_t n = begun_.fetch_add(1) + 1;
            std::byte* const page = back_ + (n % back_pages) * page_bytes;
            std::memcpy(page, &n, sizeof n);
            done_.store(n);
            if (n % 512 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
          }
        }) {}
  NumberWriter(const NumberWriter&) = delete;
  NumberWriter& operator=(const NumberWriter&) = delete;
  ~NumberWriter() { stop(); }

  void stop() {
    stopping_.store(true);
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] std::uint64_t done() const { return done_.load(); }
  [[nodiscard]] std::uint64_t begun() const { return begun_.load(); }

  /// Whether `back` is all of one instant, at which the newest number was in [low, high].
  static bool is_one_instant(const std::byte* back, std::uint64_t low, std::uint64_t high) {
    for (std::uint64_t p = 0; p < back_pages; ++p) {
      std::uint64_t n = 0;
      std::memcpy(&n, back + p * page_bytes, sizeof n);
      if (n != 0 && n % back_pages != p) return false;
      low = std::max(low, n);
      const std::uint64_t next = n == 0 && p != 0 ? p : n + back_pages;  // that page p will get
      high = std::min(high, next - 1);
    }
    return low <= high;
  }

 private:
  std::byte* const back_;
  std::atomic<bool> stopping_{false};
  std::atomic<std::uint64_t> begun_{0};
  std::atomic<std::uint64_t> done_{0};
  std::thread thread_;
};

struct Held {
  TakenSnapshot snapshot;
  Bytes front;
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  std::vector<std::pair<FrameIndex, std::uint64_t>> pinned;  // and the page of the front
};

class MappedModel {
 public:
  explicit MappedModel(const MappedModelConfig& config)
      : config_(config), random_(config.seed), disk_(cache_config()), model_(front_bytes) {
    Bytes content = random_bytes(file_bytes, config.seed);
    std::fill(content.begin() + front_bytes, content.end(), std::byte{0});
    std::copy_n(content.begin(), front_bytes, model_.begin());
    put_file(disk_.path("file"), content);
    put_file(disk_.path("other"), random_bytes(other_bytes, 1));
    put_file(disk_.path("another"), random_bytes(other_bytes, 2));
    file_ = disk_.open("file");
    mapping_ = CacheOnDisk::value(pagecache::file_map(file_));
    writer_.emplace(mapping_.data() + front_bytes);
  }

  MappedModelResult run() {
    for (std::uint32_t step = 0; step < config_.steps && result_.violation.empty(); ++step)
      do_something();
    while (!held_.empty())
      finish(held_.size() - 1);
    writer_->stop();
    result_.numbers_written = writer_->done();
    if (result_.violation.empty()) check_end();
    mapping_ = {};
    file_.reset();
    if (result_.violation.empty() && !disk_.settles()) violated("it does not balance");
    result_.pages_loaded = disk_.cache().stats().pages_loaded;
    result_.pages_evicted = disk_.cache().stats().pages_evicted;
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
    switch (below(10)) {
      case 0:
        return disk_.open(below(2) == 0 ? "other" : "another").reset();
      case 1:
        return freeze();
      case 2:
        if (!held_.empty()) pin_some(held_[below(held_.size())]);
        return;
      case 3:
        if (below(2) == 0 && !held_.empty()) finish(below(held_.size()));
        return;
      case 4:
      case 5:
      case 6:
        return store();
      case 7:
        return read_through_mapping();
      case 8:
        return write_by_api();
      default:
        if (below(4) != 0) return;
        if (auto synced = pagecache::file_sync(*file_); !synced)
          violated("sync: " + synced.error().message());
    }
  }

  void freeze() {
    if (held_.size() == snapshots_max) return;
    const std::uint64_t low = writer_->done();
    auto state = disk_.cache().freeze(file_, 0, file_bytes);
    const std::uint64_t high = writer_->begun();
    if (!state) return violated("freeze: " + state.error().message());
    ++result_.snapshots;
    held_.push_back({.snapshot = TakenSnapshot(disk_.cache(), *state),
                     .front = model_,
                     .low = low,
                     .high = high,
                     .pinned = {}});
  }

  /// As descriptors do, for a while.
  void pin_some(Held& held) {
    for (std::uint64_t i = below(6); i > 0; --i) {
      const std::uint64_t page = below(front_pages);
      held.pinned.emplace_back(held.snapshot.pin(PageIndex{static_cast<std::uint32_t>(page)}),
                               page);
    }
  }

  void finish(std::size_t index) {
    Held held = std::move(held_[index]);
    held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(index));
    for (const auto& [frame, page] : held.pinned) {
      if (std::memcmp(disk_.cache().dma_view() + offset_of(frame).value,
                      held.front.data() + page * page_bytes, page_bytes) != 0)
        violated(fmt::format("page {} has changed under a descriptor", page));
      disk_.cache().unpin(frame);
    }
    Bytes bytes = held.snapshot.bytes();
    bytes.resize(front_bytes + back_pages * page_bytes);
    if (!std::equal(held.front.begin(), held.front.end(), bytes.begin()))
      violated("a snapshot has other bytes than at its instant");
    if (!NumberWriter::is_one_instant(bytes.data() + front_bytes, held.low, held.high))
      violated("the numbers in a snapshot are not of one instant");
  }

  void store() {
    const std::uint64_t offset = below(front_bytes);
    const std::uint64_t length = std::min(front_bytes - offset, 1 + below(2 * page_bytes));
    for (std::uint64_t at = offset; at < offset + length; ++at)
      model_[at] = static_cast<std::byte>(random_());
    std::memcpy(mapping_.data() + offset, model_.data() + offset, length);
  }

  void read_through_mapping() {
    const std::uint64_t offset = below(front_bytes);
    const std::uint64_t length = std::min(front_bytes - offset, 1 + below(4 * page_bytes));
    if (std::memcmp(mapping_.data() + offset, model_.data() + offset, length) != 0)
      violated(fmt::format("the mapping shows other bytes at {}", offset));
  }

  void write_by_api() {
    const std::uint64_t offset = below(front_bytes);
    const std::uint64_t length = std::min(front_bytes - offset, 1 + below(2 * page_bytes));
    Bytes bytes(length);
    for (std::byte& byte : bytes)
      byte = static_cast<std::byte>(random_());
    const auto written = pagecache::file_write(*file_, bytes, offset);
    if (!written || *written != length) return violated("write");
    std::copy(bytes.begin(), bytes.end(), model_.begin() + static_cast<std::ptrdiff_t>(offset));
  }

  void check_end() {
    if (std::memcmp(mapping_.data(), model_.data(), front_bytes) != 0)
      violated("the mapping shows other bytes at the end");
    if (auto synced = pagecache::file_sync(*file_); !synced)
      violated("sync: " + synced.error().message());
    Bytes on_disk = get_file(disk_.path("file"));
    if (on_disk.size() != file_bytes) return violated("the disk has another size");
    on_disk.resize(front_bytes + back_pages * page_bytes);
    if (!std::equal(model_.begin(), model_.end(), on_disk.begin()) ||
        !NumberWriter::is_one_instant(on_disk.data() + front_bytes, result_.numbers_written,
                                      result_.numbers_written))
      violated("the disk has other bytes after a sync");
  }

  const MappedModelConfig config_;
  std::mt19937_64 random_;
  CacheOnDisk disk_;
  Bytes model_;
  std::shared_ptr<pagecache::CachedFile> file_;
  std::span<std::byte> mapping_;
  std::optional<NumberWriter> writer_;
  std::vector<Held> held_;
  MappedModelResult result_;
};

}  // namespace

MappedModelResult run_mapped_model(const MappedModelConfig& config) {
  try {
    return MappedModel(config).run();
  } catch (const std::exception& error) {
    return {.violation = error.what()};
  }
}

}  // namespace strictsend::test
