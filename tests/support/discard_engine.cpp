// SPDX-License-Identifier: Apache-2.0
#include "tests/support/discard_engine.hpp"

#include <sys/eventfd.h>

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <stdexcept>

#include "engine/tx/segmentation.hpp"

namespace strictsend::testing {
namespace {

constexpr std::uint32_t tx_slots = 2048;
constexpr std::uint32_t tx_buffer_bytes = 2048;
constexpr std::uint32_t tx_frames = tx_slots * tx_buffer_bytes / page_bytes;
constexpr std::uint32_t receive_frames = 2048;

template <class T>
T value_of(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  return std::move(*result);
}

std::uint32_t splices_of(const DiscardEngine::Options& options) {
  return static_cast<std::uint32_t>(options.queues * options.connections *
                                    options.splices_submitted);
}

std::unique_ptr<pagecache::PageCache> make_cache(const DiscardEngine::Options& options) {
  pagecache::CacheConfig config;
  config.cache_bytes = options.cache_bytes;
  config.port_frames = options.queues * (tx_frames + receive_frames);
  config.snapshots_max = splices_of(options) + 64;
  config.protect = options.protect;
  return value_of(pagecache::PageCache::create(config));
}

nic::DmaMemory memory_of(pagecache::PageCache& cache, std::uint32_t queues) {
  const FrameIndex receive_begin = cache.port_frames_begin().plus(queues * tx_frames);
  return {.base = cache.dma_view(),
          .size_bytes = cache.arena_bytes(),
          .fd = cache.arena_fd(),
          .receive_begin = receive_begin,
          .receive_end = receive_begin.plus(queues * receive_frames)};
}

/// Sends on a device's queue, and receives what the peer injects into the discarding port's.
class DeviceQueue final : public nic::Queue {
 public:
  DeviceQueue(nic::Queue& device, nic::Queue& peers, nic::TransmitObserver& peer)
      : device_(device), peers_(peers), peer_(peer) {}
  std::size_t transmit(std::span<const nic::TxPacket> packets) override {
    const std::size_t taken = device_.transmit(packets);
    peer_.transmitted(packets.first(taken));
    return taken;
  }
  int kick() override { return device_.kick(); }
  std::size_t reap(std::span<nic::TxCompletion> completions) override {
    return device_.reap(completions);
  }
  std::size_t receive(std::span<nic::RxPacket> packets) override { return peers_.receive(packets); }
  void release_received() override { peers_.release_received(); }
  [[nodiscard]] int wait_fd() const override { return -1; }
  bool arm_wait() override { return peers_.arm_wait(); }
  void stop() override {
    device_.stop();
    peers_.stop();
  }
  [[nodiscard]] const nic::QueueCounters& counters() const override { return device_.counters(); }

 private:
  nic::Queue& device_;
  nic::Queue& peers_;
  nic::TransmitObserver& peer_;
};

std::unique_ptr<nic::DiscardPort> make_port(const DiscardEngine::Options& options,
                                            pagecache::PageCache& cache,
                                            const std::vector<std::unique_ptr<AckingPeer>>& peers) {
  nic::DiscardConfig config;
  config.queues = options.queues;
  for (const auto& peer : peers)
    config.observers.push_back(peer.get());
  config.checksum_offload = options.checksum_offload;
  config.segmented_bytes_max = options.segmentation ? 65535 : 0;
  config.owns_interface = options.gateway.has_value();
  return value_of(nic::DiscardPort::create(config, memory_of(cache, options.queues)));
}

std::vector<std::unique_ptr<AckingPeer>> make_peers(const DiscardEngine::Options& options,
                                                    const pagecache::PageCache& cache) {
  std::vector<std::unique_ptr<AckingPeer>> peers;
  for (std::uint32_t i = 0; i < options.queues; ++i) {
    peers.push_back(
        std::make_unique<AckingPeer>(SimAddresses{}, options.connections, cache.dma_view()));
  }
  return peers;
}

}  // namespace

DiscardEngine::DiscardEngine(const Options& options)
    : cache_(make_cache(options)),
      peers_(make_peers(options, *cache_)),
      port_(make_port(options, *cache_, peers_)),
      device_(options.device ? options.device(memory_of(*cache_, options.queues)) : nullptr),
      notifier_(UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))),
      events_(notifier_),
      splices_(splices_of(options) + 1),
      ring_(value_of(engine::LoopRing::create(options.queues, 1514))),
      slots_each_(static_cast<std::uint32_t>(2 * options.connections)),
      splices_submitted_(options.splices_submitted),
      active_(options.active) {
  for (const std::string& path : options.paths)
    files_.push_back(value_of(cache_->open_file(path, O_RDWR)));
  if (files_.empty()) files_.push_back(value_of(cache_->open_file(options.path, O_RDWR)));
  const nic::PortCapabilities& able = device_ ? device_->capabilities() : port_->capabilities();
  engine::LoopConfig config;
  config.address = SimAddresses{}.engine.v4();
  config.tcp.mss_bytes = 1460;
  config.tcp.receive_buffer_bytes = 4096;
  config.linear = options.linear;
  config.tcp.segment_bytes_max = engine::segment_bytes_max(able, options.linear);
  config.connections_max = slots_each_;
  config.receive_buffer_bytes = 4096;
  config.tx_slots = tx_slots;
  config.tx_buffer_bytes = tx_buffer_bytes;
  config.secret = {1, 2};
  if (options.gateway) {
    host_.emplace(engine::HostConfig{.mac = port_->capabilities().mac,
                                     .address = config.address,
                                     .gateway = options.gateway,
                                     .reply_bytes_max = tx_buffer_bytes},
                  Time{});
    config.host = &*host_;
  }
  config.ring = ring_.get();
  for (std::uint32_t i = 0; i < options.queues; ++i) {
    config.number = i;
    config.keeps_interface = host_ && i == 0;
    config.first_slot = i * slots_each_;
    config.tx_buffers_begin = cache_->port_frames_begin().plus(i * tx_frames);
    if (device_)
      device_queues_.push_back(
          std::make_unique<DeviceQueue>(device_->queue(i), port_->queue(i), *peers_[i]));
    nic::Queue& queue = device_ ? *device_queues_[i] : port_->queue(i);
    loops_.push_back(
        std::make_unique<engine::QueueLoop>(config, queue, able, *cache_, notifier_, Time{}));
    loops_.back()->listen(SimAddresses{}.engine_port);
    peers_[i]->attach(*port_, i);
    peers_[i]->open_all();
  }
}

DiscardEngine::~DiscardEngine() {
  for (const auto& loop : loops_) {
    loop->abort_all(Time{}, ECONNABORTED);
    loop->stop_device();
    loop->take_commands();
  }
}

void DiscardEngine::serve() {
  std::array<Event, 64> events;
  while (const std::size_t count = events_.take(
             events, [this](engine::SpliceOp& op) { splices_.give_back(op); },
             [](engine::AnyFlow&) {})) {
    for (std::size_t i = 0; i < count; ++i) {
      if (events[i].kind == Event::Kind::accepted) {
        if (++open_ > active_) continue;
        for (std::size_t n = 0; n < splices_submitted_; ++n)
          submit(events[i].connection);
      } else if (events[i].kind == Event::Kind::released) {
        ++released_;
        submit(events[i].connection);
      }
    }
  }
}

void DiscardEngine::submit(ConnectionId connection) {
  engine::SpliceOp* op = splices_.take();
  if (op == nullptr) throw std::runtime_error("out of splices");
  const std::uint32_t queue = connection.slot / slots_each_;
  std::shared_ptr<pagecache::CachedFile>& file = files_[queue < files_.size() ? queue : 0];
  pagecache::SnapshotState* snapshot =
      value_of(cache_->freeze(file, 0, pagecache::file_size_bytes(*file)));
  engine::QueueLoop& loop = *loops_[queue];
  op->flow = &loop.flows()[connection.slot % slots_each_];
  op->connection = connection;
  op->snapshot = snapshot;
  op->file_offset = pagecache::snapshot_offset(*snapshot);
  op->file_bytes = pagecache::snapshot_length_bytes(*snapshot);
  loop.submit(*op);
}

}  // namespace strictsend::testing
