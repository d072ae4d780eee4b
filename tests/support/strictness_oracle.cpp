// SPDX-License-Identifier: Apache-2.0
#include "tests/support/strictness_oracle.hpp"

#include <algorithm>
#include <fcntl.h>
#include <map>
#include <random>
#include <vector>

#include "tests/support/datagram_model.hpp"
#include "tests/support/sim_engine.hpp"
#include "tests/support/temp_file.hpp"

namespace strictsend::testing {
namespace {

using Bytes = std::vector<std::byte>;

/// A file under test and what it ought to hold.
struct ModelFile {
  TempFile disk;
  std::shared_ptr<pagecache::CachedFile> cached;
  Bytes content;
  std::span<std::byte> mapping;
};

/// A connection under test: what its stream ought to be, splice by splice.
struct ModelConnection {
  SimClient* client = nullptr;
  std::optional<ConnectionId> id;
  Bytes expected;
  int submitted = 0;
  int released = 0;
};

/// A datagram flow under test.
struct ModelFlow {
  DatagramFlowId id;
  std::uint32_t payload_bytes = 0;
};

class Oracle {
 public:
  explicit Oracle(const OracleOptions& options)
      : options_(options), random_(options.seed), engine_(engine_options()) {}

  OracleReport run() {
    make_files();
    for (std::uint16_t i = 0; i < 3; ++i) {
      SimClient::Options client;
      client.port = static_cast<std::uint16_t>(40000 + i);
      client.timestamps = i != 1;
      client.window_bytes = i == 2 ? 20'000 : 1 << 20;
      connections_[client.port].client = &engine_.connect(client);
    }
    for (int i = 0; i < options_.datagram_flows; ++i)
      open_flow(i);
    engine_.on_event = [this](const Event& event) { on_event(event); };
    engine_.between = [this] { disturb(); };
    const bool done = engine_.run_until([this] { return violated() || finished(); }, seconds(600));
    if (!done) violate("not finished after 600 virtual seconds");
    conclude();
    return report_;
  }

 private:
  SimEngine::Options engine_options() {
    SimEngine::Options o;
    o.sim.seed = options_.seed;
    o.sim.checksum_offload = options_.checksum_offload;
    if (options_.ipv6_vlan) {
      o.addresses.engine = parse_ip_address("2001:db8::1").value();
      o.addresses.client = parse_ip_address("2001:db8::2").value();
      o.addresses.vlan_id = 5;
    }
    if (options_.segmentation) {
      o.sim.segmented_bytes_max = chance(50) ? 65'535 : 9'000;
      o.sim.segmented_fragments_max = static_cast<std::uint32_t>(pick(5, 18));
      // What stands between takes all that its own device would, and splits headers off.
      if (options_.adapt) o.sim.segmented_bytes_max = 65'535;
      if (options_.adapt) o.sim.segmented_fragments_max = 19;
    }
    o.sim.fragment_crosses_page = chance(50);
    o.sim.to_peer.delay = o.sim.from_peer.delay =
        microseconds(static_cast<std::int64_t>(pick(10, 20'000)));
    o.sim.link_bits_per_second = chance(50) ? 1'000'000'000 : 100'000'000;
    o.sim.dma.lateness_max = microseconds(static_cast<std::int64_t>(pick(0, 2'000)));
    // Often far behind the acknowledgement, so that writers meet frames that no snapshot needs any
    // more and a descriptor still does.
    const std::uint64_t late_us = chance(50) ? 50'000 : 5'000;
    o.sim.dma.completion_lateness_max = microseconds(static_cast<std::int64_t>(pick(0, late_us)));
    o.sim.dma.completes_in_order = chance(50);
    if (options_.lossy) {
      for (nic::SimPath* path : {&o.sim.to_peer, &o.sim.from_peer}) {
        path->loss_ppm = static_cast<std::uint32_t>(pick(0, 30'000));
        path->duplicate_ppm = static_cast<std::uint32_t>(pick(0, 10'000));
        path->corrupt_ppm = static_cast<std::uint32_t>(pick(0, 5'000));
        path->reorder_ppm = static_cast<std::uint32_t>(pick(0, 20'000));
      }
      o.sim.dma.lost_completion_ppm = static_cast<std::uint32_t>(pick(0, 300));
    }
    o.sim.tap = [this](Time, std::span<const std::byte> frame) { check_frame(frame); };
    o.cache.cache_bytes = 1024 * page_bytes;
    o.cache.snapshots_max = 128;
    // A small file, few frames and the last freed frame used first: what is reused too early shows.
    o.tuning.free_order = pagecache::FrameAllocator::Order::lifo;
    // A lost completion is this oracle's business, not a reason to give the device up.
    o.edit = [](engine::LoopConfig& config) { config.device_timeout = seconds(100'000); };
    o.linear = options_.linear;
    o.adapt = options_.adapt;
    return o;
  }

  void make_files() {
    for (const std::uint64_t bytes :
         {std::uint64_t(pick(1, 9'000)), std::uint64_t(pick(20, 128)) * page_bytes}) {
      ModelFile& file = files_.emplace_back();
      file.content.resize(bytes);
      for (std::byte& byte : file.content)
        byte = static_cast<std::byte>(random_());
      file.disk.write(file.content);
      auto opened = engine_.cache().open_file(file.disk.path(), O_RDWR);
      if (!opened) return violate(opened.error().message());
      file.cached = std::move(*opened);
    }
    auto mapped = pagecache::file_map(files_.back().cached);
    if (mapped) files_.back().mapping = *mapped;
  }

  void open_flow(int number) {
    // With the oracle's headers and, at most, IPv6's and UDP's.
    const std::uint64_t most = 1500 - 48 - DatagramModel::header_bytes;
    SimEngine::DatagramOptions options{
        .peer =
            options_.ipv6_vlan ? parse_ip_address("2001:db8::2").value() : IpAddress(10, 0, 0, 2),
        .local_port = static_cast<std::uint16_t>(4000 + number),
        .payload_bytes = static_cast<std::uint32_t>(chance(50) ? most : pick(600, most)),
        .rate_bytes_per_s = chance(50) ? 0 : pick(1'000'000, 20'000'000)};
    flows_.push_back({engine_.open_datagram_flow(options), options.payload_bytes});
  }

  void on_event(const Event& event) {
    if (event.datagram_flow.generation != 0) {
      on_datagram_event(event);
      return;
    }
    switch (event.kind) {
      case Event::Kind::accepted:
        connections_[event.peer_port].id = event.connection;
        break;
      case Event::Kind::released:
        ++of(event.connection).released;
        if (event.result.error != 0)
          violate("a splice failed: " + std::to_string(event.result.error));
        report_.bytes_copied += event.result.bytes_copied;
        break;
      case Event::Kind::closed:
        if (event.result.error != 0) violate("closed: " + std::to_string(event.result.error));
        break;
      default:
        break;
    }
  }

  void on_datagram_event(const Event& event) {
    if (event.kind != Event::Kind::released) return violate("an unexpected event of a flow");
    const auto wrong =
        datagrams_.released(static_cast<std::uint32_t>(event.user_data), event.result);
    if (wrong) violate(*wrong);
    report_.bytes_copied += event.result.bytes_copied;
  }

  ModelConnection& of(ConnectionId id) {
    for (auto& [port, connection] : connections_) {
      if (connection.id == id) return connection;
    }
    violate("an event of an unknown connection");
    return connections_.begin()->second;
  }

  /// Something or nothing happens between two turns of the engine.
  void disturb() {
    const int writes = static_cast<int>(pick(0, 3));
    for (int i = 0; i < writes; ++i)
      write(files_[pick(0, files_.size() - 1)]);
    if (submitted_ < options_.splices && chance(20)) submit();
  }

  void write(ModelFile& file) {
    const std::size_t size = file.content.size();
    if (!file.mapping.empty() && chance(70)) {
      // A store of one word, or over the border of two pages, or a whole page.
      const std::size_t length = chance(80) ? 8 : page_bytes;
      const std::size_t at = pick(0, std::min(size, file.mapping.size()) - length);
      const Bytes bytes = noise(length);
      std::copy(bytes.begin(), bytes.end(), file.mapping.begin() + static_cast<std::ptrdiff_t>(at));
      std::copy(bytes.begin(), bytes.end(), file.content.begin() + static_cast<std::ptrdiff_t>(at));
      return;
    }
    const Bytes bytes = noise(pick(1, 3 * page_bytes));
    if (file.mapping.empty() && chance(5)) {
      const std::size_t to = pick(1, 2 * size < 9'000 ? 2 * size : 9'000);
      if (!pagecache::file_truncate(*file.cached, to)) return violate("truncate failed");
      file.content.resize(to);
    } else if (file.mapping.empty() && size < 40'000 && chance(20)) {
      if (!pagecache::file_append(*file.cached, bytes)) return violate("append failed");
      file.content.insert(file.content.end(), bytes.begin(), bytes.end());
    } else {
      const std::size_t at = pick(0, size - 1);
      const std::size_t length = std::min(bytes.size(), size - at);
      if (!pagecache::file_write(*file.cached, std::span(bytes).first(length), at)) {
        return violate("write failed");
      }
      std::copy_n(bytes.begin(), length, file.content.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }

  void submit_datagrams() {
    if (datagrams_.splices() - datagrams_.splices_released() >= 4 * flows_.size()) return;
    const ModelFlow& flow = flows_[pick(0, flows_.size() - 1)];
    ModelFile& file = files_[pick(0, files_.size() - 1)];
    const std::size_t offset = pick(0, file.content.size() - 1);
    const std::size_t length = pick(1, file.content.size() - offset);
    auto snapshot = engine_.cache().freeze(file.cached, offset, length);
    if (!snapshot) return violate(snapshot.error().message());
    const auto begin = file.content.begin() + static_cast<std::ptrdiff_t>(offset);
    const std::uint32_t number = datagrams_.add(
        Bytes(begin, begin + static_cast<std::ptrdiff_t>(length)), flow.payload_bytes);
    engine_.submit(flow.id, *snapshot,
                   {.bytes = DatagramModel::header_of(number),
                    .sequence = DatagramModel::sequence,
                    .byte_offset = DatagramModel::byte_offset},
                   number);
    ++submitted_;
  }

  void submit() {
    if (!flows_.empty() && chance(50)) return submit_datagrams();
    auto& connection = std::next(connections_.begin(),
                                 static_cast<std::ptrdiff_t>(pick(0, connections_.size() - 1)))
                           ->second;
    if (!connection.id || connection.submitted - connection.released >= 4) return;
    ModelFile& file = files_[pick(0, files_.size() - 1)];
    const std::size_t offset = pick(0, file.content.size() - 1);
    const std::size_t length = pick(1, file.content.size() - offset);
    const std::string header(pick(0, 300), 'h');
    const std::string trailer(chance(30) ? pick(1, 3000) : 0, 't');
    auto snapshot = engine_.cache().freeze(file.cached, offset, length);
    if (!snapshot) return violate(snapshot.error().message());
    append(connection.expected, std::as_bytes(std::span(header)));
    append(connection.expected, std::span(file.content).subspan(offset, length));
    append(connection.expected, std::as_bytes(std::span(trailer)));
    engine_.submit(*connection.id, *snapshot, header, trailer, 0);
    ++connection.submitted;
    ++submitted_;
  }

  static void append(Bytes& to, std::span<const std::byte> bytes) {
    to.insert(to.end(), bytes.begin(), bytes.end());
  }

  /// Every frame as it leaves the device.
  void check_frame(std::span<const std::byte> frame) {
    if (const auto datagram = wire::parse_udp_packet(frame, nic::RxChecksum::unknown)) {
      if (const auto wrong = datagrams_.left_device(*datagram)) violate(*wrong);
      return;
    }
    const auto packet = wire::parse_tcp_packet(frame, nic::RxChecksum::unknown);
    if (!packet) return violate(std::string("left the device: ") + wire::to_string(packet.error()));
    if (packet->payload.empty()) return;
    const ModelConnection& connection = connections_[packet->destination_port];
    const std::size_t at = packet->seq - connection.client->first_seq();
    ++report_.frames_checked;
    if (at + packet->payload.size() > connection.expected.size()) {
      return violate("bytes beyond the stream at offset " + std::to_string(at));
    }
    for (std::size_t i = 0; i < packet->payload.size(); ++i) {
      if (packet->payload[i] != connection.expected[at + i]) {
        return violate("stream offset " + std::to_string(at + i) + " is not the snapshot's byte");
      }
    }
  }

  bool finished() {
    if (submitted_ < options_.splices) return false;
    // What a lost completion holds is released when the device stops, and counted then.
    const bool may_lack = engine_.port().stats().lost_completions > 0;
    if (datagrams_.splices_released() != datagrams_.splices() && !may_lack) return false;
    return std::all_of(connections_.begin(), connections_.end(), [may_lack](const auto& entry) {
      const ModelConnection& c = entry.second;
      return (c.released == c.submitted || may_lack) &&
             c.client->received().size() == c.expected.size();
    });
  }

  void conclude() {
    const pagecache::CacheStats stats = engine_.cache().stats();
    report_.datagrams_checked = datagrams_.datagrams_seen();
    report_.pages_preserved = stats.pages_preserved;
    report_.pages_redirected = stats.pages_redirected;
    const std::uint64_t left = engine_.port().stats().to_peer.sent;
    const std::uint64_t handed = engine_.port().queue(0).counters().tx_packets;
    report_.packets_cut = left > handed ? left - handed : 0;
    report_.retransmissions = engine_.loop().counters().segments_retransmitted.get();
    for (const auto& [port, connection] : connections_) {
      if (!violated() && connection.client->received() != connection.expected) {
        violate("a client got other bytes than were on the wire");
      }
    }
    engine_.on_event = nullptr;
    if (engine_.port().stats().changed_under_descriptor != 0) {
      violate("memory under a descriptor was changed");
    }
    if (!engine_.stop_and_settle()) violate("frames, snapshots or pins do not balance");
    check_files();
  }

  /// No write was lost.
  void check_files() {
    for (ModelFile& file : files_) {
      Bytes now(file.content.size() + 1);
      const auto count = pagecache::file_read(*file.cached, now, 0);
      now.resize(count ? *count : 0);
      if (now != file.content) violate("a file does not hold what was written to it");
    }
  }

  void violate(std::string what) {
    if (!report_.violation) report_.violation = std::move(what);
  }
  [[nodiscard]] bool violated() const { return report_.violation.has_value(); }

  std::uint64_t pick(std::uint64_t low, std::uint64_t high) {
    return low + random_() % (high - low + 1);
  }
  bool chance(std::uint64_t percent) { return random_() % 100 < percent; }
  Bytes noise(std::size_t size) {
    Bytes bytes(size);
    for (std::byte& byte : bytes)
      byte = static_cast<std::byte>(random_());
    return bytes;
  }

  OracleOptions options_;
  std::mt19937_64 random_;
  OracleReport report_;
  std::map<std::uint16_t, ModelConnection> connections_;
  std::vector<ModelFile> files_;
  std::vector<ModelFlow> flows_;
  DatagramModel datagrams_;
  int submitted_ = 0;
  SimEngine engine_;
};

}  // namespace

OracleReport run_oracle(const OracleOptions& options) {
  return Oracle(options).run();
}

}  // namespace strictsend::testing
