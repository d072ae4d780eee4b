// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/slow_readers.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <vector>

#include "tests/support/sim_engine.hpp"
#include "tests/support/temp_file.hpp"

namespace strictsend::testing {
namespace {

constexpr std::size_t file_pages = 512;
constexpr std::size_t file_bytes = file_pages * page_bytes;
constexpr std::uint16_t slow_count = 100;
constexpr std::uint16_t fast_count = 10;
constexpr std::uint16_t first_slow_port = 10'000;
constexpr std::uint16_t first_fast_port = 20'000;
/// A slow one has read no more when all is over.
constexpr std::size_t slow_prefix_bytes = 64 << 10;
/// 100 MB/s: the file is written anew every 20 ms, while a fast one takes a few to download it.
constexpr Duration time_per_page = microseconds(40);
constexpr std::uint64_t pages_per_step_max = 64;
constexpr Duration stuck_for = seconds(4);

class SlowReadersStory {
 public:
  explicit SlowReadersStory(const SlowReadersOptions& options)
      : options_(options), random_(options.seed), engine_(engine_options()) {
    content_.resize(file_bytes);
    for (char& c : content_)
      c = static_cast<char>(random_());
    disk_.write(std::as_bytes(std::span(content_)));
    auto opened = engine_.cache().open_file(disk_.path(), O_RDWR);
    if (opened)
      file_ = *opened;
    else
      complain(opened.error().message());
    engine_.on_event = [this](const Event& event) { take(event); };
    engine_.between = [this] { step(); };
  }

  SlowReadersReport run() {
    if (report_.violation || !map_file()) return report_;
    last_write_at_ = engine_.now();
    // The fast ones come one after the other while the slow ones come in, for as long as the writer
    // needs to go over the file five times: from the first time on there is too much to keep.
    for (std::uint16_t i = 0; i < slow_count; ++i) {
      SimClient::Options slow;
      slow.port = static_cast<std::uint16_t>(first_slow_port + i);
      slow.window_bytes = 4096;
      slow.reads_bytes_per_s = 1024;
      clients_.push_back(&engine_.connect(slow));
      engine_.run_for(microseconds(500 + static_cast<std::int64_t>(random_() % 1000)));
      if (i % (slow_count / fast_count) == 0) {
        SimClient::Options fast;
        fast.port = static_cast<std::uint16_t>(first_fast_port + fast_started_++);
        clients_.push_back(&engine_.connect(fast));
      }
    }
    const bool served = engine_.run_until(
        [this] {
          return std::ranges::all_of(clients_, [](const SimClient* client) {
            return !is_fast(client->port()) || client->received().size() == file_bytes;
          });
        },
        seconds(2));
    if (!served) complain("the fast ones are not served");
    // Long enough for the slow ones to ask for more, and for the device to complete everything.
    engine_.run_for(seconds(8));
    if (report_.fast_served != fast_count) complain("not all of the fast ones' sends ended");
    compare();
    finish();
    return report_;
  }

 private:
  [[nodiscard]] SimEngine::Options engine_options() const {
    SimEngine::Options sim;
    sim.sim.seed = options_.seed;
    sim.sim.dma.lateness_max = microseconds(20);
    sim.sim.dma.completion_lateness_max = microseconds(200);
    sim.sim.dma.completes_in_order = false;
    sim.sim.dma.stuck_packet = 150 + options_.seed * 37;  // of many pages, early
    sim.sim.dma.stuck_until = sim.sim.start_at + stuck_for;
    sim.sim.checksum_offload = true;
    sim.sim.segmented_bytes_max = options_.seed % 2 == 0 ? 65535 : 0;
    sim.cache.cache_bytes = 4096 * page_bytes;
    sim.cache.snapshots_max = 256;
    sim.cache.preserved_bytes_max = options_.preserved_frames_max * page_bytes;
    sim.cache.preserved_bytes_per_owner_max =
        options_.preserved_frames_per_connection_max * page_bytes;
    // In the guard's time; nobody is to wait so long.
    sim.cache.writer_wait_limit = seconds(2);
    return sim;
  }

  static bool is_fast(std::uint64_t port) { return port >= first_fast_port; }

  void complain(std::string what) {
    if (!report_.violation) report_.violation = std::move(what);
  }

  bool map_file() {
    if (!options_.mapped) return true;
    auto mapped = pagecache::file_map(file_);
    if (mapped) {
      mapping_ = *mapped;
      return true;
    }
    report_.skipped = mapped.error().errno_value == ENOTSUP;
    if (!report_.skipped) complain(mapped.error().message());
    finish();
    return false;
  }

  void take(const Event& event) {
    if (event.kind == Event::Kind::accepted) {
      auto snapshot = engine_.cache().freeze(file_, 0, file_bytes);
      if (!snapshot) return complain(snapshot.error().message());
      expected_[event.peer_port] =
          content_.substr(0, is_fast(event.peer_port) ? file_bytes : slow_prefix_bytes);
      engine_.submit(event.connection, *snapshot, {}, {}, event.peer_port);
    } else if (event.kind == Event::Kind::released) {
      if (event.result.error == ENOBUFS) ++report_.released_for_writers;
      if (!is_fast(event.user_data)) return;
      if (event.result.error != 0) {
        return complain("a fast one's send ended with " +
                        std::string(std::strerror(event.result.error)));
      }
      ++report_.fast_served;
    }
  }

  /// The writer's part of what has passed, and a look at memory.
  void step() {
    const auto due =
        static_cast<std::uint64_t>((engine_.now() - last_write_at_).ns / time_per_page.ns);
    for (std::uint64_t i = std::min(due, pages_per_step_max); i > 0; --i)
      write_page();
    if (due > 0) last_write_at_ = engine_.now();
    const std::uint64_t kept = engine_.cache().stats().frames_history;
    report_.frames_kept_most = std::max(report_.frames_kept_most, kept);
    if (kept > options_.preserved_frames_max) complain("more is kept than may be");
  }

  void write_page() {
    const std::size_t page = report_.pages_written++ % file_pages;
    std::array<std::uint64_t, page_bytes / sizeof(std::uint64_t)> words;
    for (std::uint64_t& word : words)
      word = random_();
    const auto bytes = std::as_bytes(std::span(words));
    if (mapping_.empty()) {
      const auto written = pagecache::file_write(*file_, bytes, page * page_bytes);
      if (!written) return complain(written.error().message());
      if (*written != page_bytes) return complain("a write was cut short");
    } else {
      std::ranges::copy(bytes, mapping_.subspan(page * page_bytes).begin());
    }
    std::memcpy(content_.data() + page * page_bytes, bytes.data(), page_bytes);
  }

  void compare() {
    for (const SimClient* client : clients_) {
      const std::vector<std::byte>& got = client->received();
      const std::string& expected = expected_[client->port()];
      const bool whole = got.size() == expected.size();
      const std::string who = "the reader on port " + std::to_string(client->port());
      if (is_fast(client->port()) ? !whole : got.size() > expected.size())
        complain(who + " has got " + std::to_string(got.size()) + " bytes");
      else if (std::memcmp(got.data(), expected.data(), got.size()) != 0)
        complain(who + " has got bytes of another instant");
    }
  }

  void finish() {
    engine_.on_event = nullptr;
    engine_.between = nullptr;
    if (engine_.port().stats().lost_completions != 0) complain("the device lost a completion");
    const pagecache::CacheStats stats = engine_.cache().stats();
    report_.given_up_for_connection_limit = stats.sends_failed_for_connection_limit;
    report_.given_up_for_total_limit = stats.sends_failed_for_total_limit;
    report_.given_up_for_waiting_writers = stats.sends_failed_for_writers;
    mapping_ = {};
    file_.reset();
    if (!engine_.stop_and_settle()) complain("it does not balance");
    if (engine_.loop().counters().frozen_bytes.get() != 0) complain("something is still frozen");
    if (engine_.port().stats().changed_under_descriptor != 0)
      complain("memory changed under a descriptor");
  }

  const SlowReadersOptions options_;
  std::mt19937_64 random_;
  SimEngine engine_;
  TempFile disk_;
  std::shared_ptr<pagecache::CachedFile> file_;
  std::span<std::byte> mapping_;  ///< empty: writes through the file
  std::string content_;           ///< of the file, now
  Time last_write_at_;
  std::vector<SimClient*> clients_;
  std::uint16_t fast_started_ = 0;
  std::map<std::uint64_t, std::string> expected_;  ///< by the client's port
  SlowReadersReport report_;
};

}  // namespace

SlowReadersReport run_slow_readers(const SlowReadersOptions& options) {
  return SlowReadersStory(options).run();
}

}  // namespace strictsend::testing
