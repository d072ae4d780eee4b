// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/soak.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <thread>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include "tests/support/proc.hpp"
#include "tests/support/sim_engine.hpp"
#include "tests/support/temp_file.hpp"

namespace strictsend::testing {
namespace {

using Bytes = std::vector<std::byte>;

constexpr std::uint64_t cache_pages = 2048;
constexpr std::uint64_t mapped_pages = 256;
constexpr std::uint64_t paged_pages = 2 * cache_pages;
constexpr std::size_t edited_bytes_max = 40'000;
constexpr std::size_t splice_bytes_max = 400'000;
constexpr std::size_t peers_max = 48;
constexpr std::uint16_t first_port = 10'000;
constexpr Duration idle_timeout = seconds(20);
constexpr Duration act_every = milliseconds(20);
/// A peer whose connection never came to be is forgotten after so long.
constexpr Duration patience = seconds(90);

/// A file and what it ought to hold.
struct SoakFile {
  TempFile disk;
  std::shared_ptr<pagecache::CachedFile> cached;
  Bytes content;
  std::span<std::byte> mapping;
};

/// A peer, until the engine has said that its connection is closed.
struct SoakPeer {
  SimClient* client = nullptr;
  PeerManner manner = PeerManner::fast;
  std::optional<ConnectionId> id;
  Bytes expected;                   ///< its whole stream
  std::uint64_t requests = 0;       ///< that it makes yet, one after the other
  std::uint64_t misbehaves_at = 0;  ///< received bytes
  bool misbehaved = false;
  bool reading = true;
  Time came_at;
  Time acts_at;
  std::uint64_t submitted = 0;
  std::uint64_t released = 0;
  std::uint64_t last_splice = 0;
};

class Soak {
 public:
  explicit Soak(const SoakOptions& options)
      : options_(options), random_(options.seed), engine_(engine_options()) {}

  SoakReport run() {
    make_files();
    report_.engine_bytes = engine_.loop().memory_bytes();
    engine_.on_event = [this](const Event& event) { on_event(event); };
    engine_.between = [this] {
      if (chance_ppm(writes_ppm)) write(files_[below(files_.size())]);
    };
    const Time begin = engine_.now();
    const Time end = begin + options_.length;
    while (engine_.now() < end && !violated()) {
      if (peers_.size() < peers_max && chance_of(act_every, options_.peer_every)) come();
      change_link();
      act();
      engine_.run_for(act_every);
      if (engine_.now() >= next_look_) look(begin, end);
    }
    let_all_leave();
    conclude();
    return report_;
  }

 private:
  static constexpr std::uint64_t writes_ppm = 20'000;  ///< of the steps

  SimEngine::Options engine_options() {
    SimEngine::Options o;
    o.sim.seed = options_.seed;
    o.sim.link_bits_per_second = 100'000'000;
    o.sim.dma.lateness_max = microseconds(500);
    o.sim.dma.completion_lateness_max = milliseconds(5);
    o.sim.dma.completes_in_order = below(2) == 0;
    for (nic::SimPath* path : {&o.sim.to_peer, &o.sim.from_peer}) {
      path->delay = milliseconds(5);
      path->loss_ppm = 3'000;
      path->duplicate_ppm = 1'000;
      path->corrupt_ppm = 500;
      path->reorder_ppm = 3'000;
    }
    o.sim.tap = [this](Time, std::span<const std::byte> frame) { check_frame(frame); };
    o.cache.cache_bytes = cache_pages * page_bytes;
    o.cache.snapshots_max = 256;
    o.cache.whole_file_bytes_max = mapped_pages * page_bytes;
    o.tuning.free_order = pagecache::FrameAllocator::Order::lifo;
    o.linear = options_.seed % 4 == 0;
    o.edit = [](engine::LoopConfig& config) { config.tcp.idle_timeout = idle_timeout; };
    return o;
  }

  void make_files() {
    for (const std::uint64_t bytes :
         {edited_bytes_max / 2, mapped_pages * page_bytes, paged_pages * page_bytes - 1234}) {
      SoakFile& file = files_.emplace_back();
      file.content = noise(bytes);
      file.disk.write(file.content);
      auto opened = engine_.cache().open_file(file.disk.path(), O_RDWR);
      if (!opened) return violate(opened.error().message());
      file.cached = std::move(*opened);
    }
    // Where the kernel has no such mappings the API writes to this file too.
    if (auto mapped = pagecache::file_map(files_[1].cached)) files_[1].mapping = *mapped;
  }

  // What the world does.

  void come() {
    SimClient::Options options;
    options.port = static_cast<std::uint16_t>(first_port + report_.peers++ % 50'000);
    SoakPeer& peer = peers_[options.port];
    peer.manner = draw_manner();
    peer.came_at = peer.acts_at = engine_.now();
    peer.requests = peer.manner == PeerManner::asks_nothing ? 0 : 1 + below(4);
    peer.misbehaves_at = 1 + below(splice_bytes_max / 2);
    options.timestamps = below(8) != 0;
    options.window_scale = below(8) != 0;
    options.mss = below(8) == 0 ? 536 : 1460;
    options.window_bytes = peer.manner == PeerManner::slow ? 16'384 : 1 << 18;
    peer.client = &engine_.connect(options);
    if (peer.requests > 0) ask(peer);
    if (peer.manner == PeerManner::leaves_at_once) peer.client->vanish();
    report_.peers_at_once_max = std::max<std::uint64_t>(report_.peers_at_once_max, peers_.size());
  }

  PeerManner draw_manner() {
    const std::uint64_t percent = below(100);
    if (percent < 45) return PeerManner::fast;
    if (percent < 65) return PeerManner::slow;
    return static_cast<PeerManner>(2 + percent % (peer_manners - 2));
  }

  void ask(SoakPeer& peer) {
    --peer.requests;
    peer.client->send("x", engine_.now());
  }

  void change_link() {
    const Time now = engine_.now();
    if (now < link_changes_at_) return;
    link_up_ = !link_up_;
    engine_.port().set_link_up(link_up_);
    link_changes_at_ = now + (link_up_ ? seconds(60 + random_below(240))
                                       : milliseconds(100 + random_below(2'000)));
  }

  void act() {
    const Time now = engine_.now();
    for (auto at = peers_.begin(); at != peers_.end();) {
      SoakPeer& peer = at->second;
      if (!peer.id && now > peer.came_at + patience) {
        engine_.forget(*peer.client);
        at = peers_.erase(at);
        continue;
      }
      act(peer);
      ++at;
    }
  }

  void act(SoakPeer& peer) {
    SimClient& client = *peer.client;
    const Time now = engine_.now();
    const bool half_way = client.received().size() >= peer.misbehaves_at;
    switch (peer.manner) {
      case PeerManner::slow:
        if (now < peer.acts_at) break;
        peer.reading = !peer.reading;
        client.offer_window(peer.reading ? 16'384 : 0, now);
        peer.acts_at = now + milliseconds(20 + random_below(peer.reading ? 200 : 1'000));
        [[fallthrough]];
      case PeerManner::fast:
        if (!peer.id || client.received().size() < peer.expected.size() ||
            peer.released < peer.submitted || peer.submitted == 0)
          break;
        if (peer.requests > 0)
          ask(peer);
        else if (!std::exchange(peer.misbehaved, true))
          client.close(now);
        break;
      case PeerManner::vanishes:
        if (half_way && !std::exchange(peer.misbehaved, true)) client.vanish();
        break;
      case PeerManner::resets:
        if (half_way && !std::exchange(peer.misbehaved, true)) client.reset();
        break;
      case PeerManner::stops_reading:
        if (half_way && !std::exchange(peer.misbehaved, true)) client.offer_window(0, now);
        break;
      case PeerManner::is_abandoned:
        if (half_way && peer.id && !std::exchange(peer.misbehaved, true)) {
          if (below(2) == 0)
            engine_.abort(*peer.id);
          else
            engine_.cancel(peer.last_splice);
        }
        break;
      case PeerManner::asks_nothing:
      case PeerManner::leaves_at_once:
        break;
    }
  }

  void write(SoakFile& file) {
    ++report_.writes;
    const std::size_t size = file.content.size();
    const bool is_edited = &file == files_.data();
    if (!file.mapping.empty() && below(4) != 0) {
      const std::size_t length = below(5) != 0 ? 8 : page_bytes;
      const std::size_t at = below(size - length);
      put(file, at, length, file.mapping.data());
      return;
    }
    if (is_edited && below(10) == 0) {
      const std::size_t to = 1 + below(edited_bytes_max);
      if (!pagecache::file_truncate(*file.cached, to)) return violate("truncate failed");
      file.content.resize(to);
    } else if (is_edited && size < edited_bytes_max && below(4) == 0) {
      const Bytes bytes = noise(1 + below(4'000));
      if (!pagecache::file_append(*file.cached, bytes)) return violate("append failed");
      file.content.insert(file.content.end(), bytes.begin(), bytes.end());
    } else {
      const std::size_t at = below(size);
      put(file, at, std::min<std::size_t>(size - at, 1 + below(2 * page_bytes)), nullptr);
    }
    // What was written to the paged file stays in memory until it is synced.
    if (++writes_since_sync_ >= 200) {
      writes_since_sync_ = 0;
      for (SoakFile& each : files_)
        if (auto synced = pagecache::file_sync(*each.cached); !synced)
          return violate("sync: " + synced.error().message());
    }
  }

  /// Through a mapping, or through the API where that is null.
  void put(SoakFile& file, std::size_t at, std::size_t length, std::byte* mapping) {
    const Bytes bytes = noise(length);
    if (mapping != nullptr) {
      std::copy(bytes.begin(), bytes.end(), mapping + at);
    } else if (const auto count = pagecache::file_write(*file.cached, bytes, at);
               !count || *count != length) {
      return violate(count ? "a short write" : "write: " + count.error().message());
    }
    std::copy(bytes.begin(), bytes.end(), file.content.begin() + static_cast<std::ptrdiff_t>(at));
  }

  // What the application does.

  void on_event(const Event& event) {
    const auto at =
        event.kind == Event::Kind::accepted ? peers_.find(event.peer_port) : find(event.connection);
    if (at == peers_.end()) return violate("an event of an unknown connection");
    SoakPeer& peer = at->second;
    switch (event.kind) {
      case Event::Kind::accepted:
        peer.id = event.connection;
        ports_[event.connection.slot] = at->first;
        break;
      case Event::Kind::readable:
        for (std::size_t n = engine_.receive(event.connection).size(); n > 0; --n)
          submit(peer);
        break;
      case Event::Kind::peer_closed:
        engine_.close(event.connection);
        break;
      case Event::Kind::released:
        released(peer, event.result.error);
        break;
      case Event::Kind::closed:
        closed(peer, event.result.error);
        engine_.forget(*peer.client);
        peers_.erase(at);
        break;
      default:
        break;
    }
  }

  std::map<std::uint16_t, SoakPeer>::iterator find(ConnectionId id) {
    const auto port = ports_.find(id.slot);
    if (port == ports_.end()) return peers_.end();
    const auto at = peers_.find(port->second);
    return at != peers_.end() && at->second.id == id ? at : peers_.end();
  }

  void submit(SoakPeer& peer) {
    SoakFile& file = files_[below(files_.size())];
    const std::size_t offset = below(file.content.size());
    const std::size_t length =
        1 + below(std::min<std::size_t>(file.content.size() - offset, splice_bytes_max));
    auto snapshot = engine_.cache().freeze(file.cached, offset, length);
    if (!snapshot) return violate("freeze: " + snapshot.error().message());
    const std::string header(below(300), 'h');
    append(peer.expected, std::as_bytes(std::span(header)));
    append(peer.expected, std::span(file.content).subspan(offset, length));
    peer.last_splice = engine_.submit(*peer.id, *snapshot, header, {}, 0);
    ++peer.submitted;
    ++report_.splices;
  }

  static void append(Bytes& to, std::span<const std::byte> bytes) {
    to.insert(to.end(), bytes.begin(), bytes.end());
  }

  void released(SoakPeer& peer, int error) {
    ++peer.released;
    if (error == 0) ++report_.splices_complete;
    if (peer.manner == PeerManner::fast && error != 0 && error != ENOBUFS)
      violate(fmt::format("a send to a good peer failed with error {}", error));
  }

  void closed(SoakPeer& peer, int error) {
    if (peer.released != peer.submitted) violate("closed before all was released");
    const Bytes& got = peer.client->received();
    if (got.size() > peer.expected.size() ||
        !std::equal(got.begin(), got.end(), peer.expected.begin()))
      violate("a peer got other bytes than it was sent");
    if (error == 0 && peer.manner == PeerManner::fast && got.size() != peer.expected.size())
      violate("a good peer did not get all");
  }

  // What is looked at.

  /// Every frame as it leaves the device.
  void check_frame(std::span<const std::byte> frame) {
    const auto packet = wire::parse_tcp_packet(frame, nic::RxChecksum::unknown);
    if (!packet) return violate(std::string("left the device: ") + wire::to_string(packet.error()));
    if (packet->payload.empty()) return;
    const auto found = peers_.find(packet->destination_port);
    if (found == peers_.end()) return violate("data for a peer whose connection has ended");
    const SoakPeer& peer = found->second;
    const std::size_t at = packet->seq - peer.client->first_seq();
    if (at + packet->payload.size() > peer.expected.size())
      return violate(fmt::format("bytes beyond the stream at offset {}", at));
    if (!std::equal(packet->payload.begin(), packet->payload.end(),
                    peer.expected.begin() + static_cast<std::ptrdiff_t>(at)))
      return violate(fmt::format("in {} bytes from stream offset {} not all are the snapshot's",
                                 packet->payload.size(), at));
    report_.bytes_checked += packet->payload.size();
  }

  /// Every virtual minute.
  void look(Time begin, Time end) {
    next_look_ = engine_.now() + seconds(60);
    if (engine_.loop().memory_bytes() != report_.engine_bytes)
      violate("the loop's memory has changed");
    if (engine_.loop().counters().connections_open.get() > peers_.size())
      violate("more connections than peers");
    frames_add_up();
    const pagecache::CacheStats stats = engine_.cache().stats();
    std::uint64_t splices_open = 0;
    for (const auto& [port, peer] : peers_)
      splices_open += peer.submitted - peer.released;
    // The guard collects what was released at its next tick.
    if (stats.snapshots_live > splices_open + peers_max)
      violate(fmt::format("{} snapshots for {} sends", stats.snapshots_live, splices_open));
    report_.snapshots_max = std::max(report_.snapshots_max, stats.snapshots_live);
    report_.history_max = std::max(report_.history_max, stats.frames_history);
    const std::uint64_t bytes = test::memory_of(::getpid()).total_bytes();
    const Duration third = (end - begin) / 3;
    std::uint64_t& most =
        engine_.now() < begin + third ? report_.process_bytes_warm : report_.process_bytes_late;
    if (engine_.now() < begin + third || engine_.now() > end - third) most = std::max(most, bytes);
  }

  /// Free, cached and history are all frames there are: but for those on their way from one to the
  /// other at the guard, the loader or the device, which are waited for.
  void frames_add_up() {
    pagecache::CacheStats stats;
    for (int tries = 0; tries < 1'000; ++tries) {
      stats = engine_.cache().stats();
      if (stats.frames_free + stats.frames_cached + stats.frames_history == stats.frames_total)
        return;
      engine_.run_for(milliseconds(5));
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    violate(fmt::format("{} frames free, {} cached, {} history: of {}", stats.frames_free,
                        stats.frames_cached, stats.frames_history, stats.frames_total));
  }

  /// Nobody may be there for longer than a few time-outs, whatever it does.
  void let_all_leave() {
    engine_.port().set_link_up(true);
    const Time end = engine_.now() + patience * 2;
    while (!peers_.empty() && engine_.now() < end && !violated()) {
      act();
      engine_.run_for(act_every);
    }
    if (!violated() && !peers_.empty())
      violate(fmt::format("{} peers are still there", peers_.size()));
    if (engine_.loop().counters().connections_open.get() != 0 && !violated())
      violate("a connection without a peer is open");
  }

  void conclude() {
    const pagecache::CacheStats stats = engine_.cache().stats();
    report_.segments_retransmitted = engine_.loop().counters().segments_retransmitted.get();
    report_.pages_preserved = stats.pages_preserved;
    report_.pages_evicted = stats.pages_evicted;
    report_.sends_failed_for_writers = stats.sends_failed_for_writers;
    if (stats.sends_failed_for_disk != 0) violate("sends failed for the disk");
    engine_.on_event = nullptr;
    for (SoakFile& file : files_) {
      Bytes now(file.content.size() + 1);
      const auto count = pagecache::file_read(*file.cached, now, 0);
      now.resize(count ? *count : 0);
      if (now != file.content) violate("a file does not hold what was written to it");
      file.cached.reset();
    }
    if (engine_.port().stats().changed_under_descriptor != 0)
      violate("memory under a descriptor was changed");
    if (!engine_.stop_and_settle()) violate("frames, snapshots or pins do not balance");
  }

  void violate(std::string what) {
    if (report_.violation) return;
    const auto minute = (engine_.now() - Time{}).ns / seconds(60).ns;
    report_.violation = fmt::format("minute {}: {}", minute, what);
  }
  [[nodiscard]] bool violated() const { return report_.violation.has_value(); }

  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  std::int64_t random_below(std::int64_t limit) {
    return static_cast<std::int64_t>(below(static_cast<std::uint64_t>(limit)));
  }
  bool chance_ppm(std::uint64_t ppm) { return below(1'000'000) < ppm; }
  bool chance_of(Duration part, Duration whole) { return random_below(whole.ns) < part.ns; }
  Bytes noise(std::size_t size) {
    Bytes bytes(size);
    for (std::byte& byte : bytes)
      byte = static_cast<std::byte>(random_());
    return bytes;
  }

  SoakOptions options_;
  std::mt19937_64 random_;
  SoakReport report_;
  std::vector<SoakFile> files_;
  std::map<std::uint16_t, SoakPeer> peers_;       ///< by port
  std::map<std::uint32_t, std::uint16_t> ports_;  ///< by slot: of its latest connection
  std::uint64_t writes_since_sync_ = 0;
  bool link_up_ = true;
  Time link_changes_at_ = Time{} + seconds(120);
  Time next_look_ = Time{} + seconds(60);
  SimEngine engine_;
};

}  // namespace

SoakReport run_soak(const SoakOptions& options) {
  return Soak(options).run();
}

}  // namespace strictsend::testing
