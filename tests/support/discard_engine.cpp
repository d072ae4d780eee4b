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

std::unique_ptr<pagecache::PageCache> make_cache(const DiscardEngine::Options& options) {
  pagecache::CacheConfig config;
  config.cache_bytes = options.cache_bytes;
  config.port_frames = tx_frames + receive_frames;
  config.snapshots_max = static_cast<std::uint32_t>(options.connections) + 64;
  config.protect = options.protect;
  return value_of(pagecache::PageCache::create(config));
}

std::unique_ptr<nic::DiscardPort> make_port(const DiscardEngine::Options& options,
                                            pagecache::PageCache& cache, AckingPeer& peer) {
  const FrameIndex begin = cache.port_frames_begin();
  nic::DiscardConfig config;
  config.observers = {&peer};
  config.checksum_offload = options.checksum_offload;
  config.segmented_bytes_max = options.segmentation ? 65535 : 0;
  config.owns_interface = options.gateway.has_value();
  return value_of(
      nic::DiscardPort::create(config, {.base = cache.dma_view(),
                                        .size_bytes = cache.arena_bytes(),
                                        .fd = cache.arena_fd(),
                                        .receive_begin = begin.plus(tx_frames),
                                        .receive_end = begin.plus(tx_frames + receive_frames)}));
}

}  // namespace

DiscardEngine::DiscardEngine(const Options& options)
    : cache_(make_cache(options)),
      peer_(std::make_unique<AckingPeer>(SimAddresses{}, options.connections, cache_->dma_view())),
      port_(make_port(options, *cache_, *peer_)),
      notifier_(UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))),
      events_(notifier_),
      splices_(static_cast<std::uint32_t>(options.connections) + 1),
      file_(value_of(cache_->open_file(options.path, O_RDWR))) {
  peer_->attach(*port_);
  engine::LoopConfig config;
  config.address = SimAddresses{}.engine;
  config.tcp.mss_bytes = 1460;
  config.tcp.receive_buffer_bytes = 4096;
  config.linear = options.linear;
  config.tcp.segment_bytes_max = engine::segment_bytes_max(port_->capabilities(), options.linear);
  config.connections_max = static_cast<std::uint32_t>(2 * options.connections);
  config.receive_buffer_bytes = 4096;
  config.tx_slots = tx_slots;
  config.tx_buffer_bytes = tx_buffer_bytes;
  config.tx_buffers_begin = cache_->port_frames_begin();
  config.secret = {1, 2};
  if (options.gateway) {
    host_.emplace(engine::HostConfig{.mac = port_->capabilities().mac,
                                     .address = config.address,
                                     .gateway = options.gateway,
                                     .reply_bytes_max = tx_buffer_bytes},
                  Time{});
    config.host = &*host_;
    config.keeps_interface = true;
  }
  loop_ = std::make_unique<engine::QueueLoop>(config, port_->queue(0), port_->capabilities(),
                                              *cache_, notifier_, Time{});
  loop_->listen(SimAddresses{}.engine_port);
  peer_->open_all();
}

DiscardEngine::~DiscardEngine() {
  loop_->abort_all(Time{}, ECONNABORTED);
  loop_->stop_device();
  loop_->take_commands();
}

void DiscardEngine::serve() {
  std::array<Event, 64> events;
  while (
      const std::size_t count = events_.take(
          events, [this](engine::SpliceOp& op) { splices_.give_back(op); }, [](engine::Flow&) {})) {
    for (std::size_t i = 0; i < count; ++i) {
      if (events[i].kind == Event::Kind::accepted) ++open_;
      if (events[i].kind == Event::Kind::released) ++released_;
      if (events[i].kind == Event::Kind::accepted || events[i].kind == Event::Kind::released) {
        submit(events[i].connection);
      }
    }
  }
}

void DiscardEngine::submit(ConnectionId connection) {
  engine::SpliceOp* op = splices_.take();
  if (op == nullptr) throw std::runtime_error("out of splices");
  pagecache::SnapshotState* snapshot =
      value_of(cache_->freeze(file_, 0, pagecache::file_size_bytes(*file_)));
  op->flow = &loop_->flows()[connection.slot];
  op->connection = connection;
  op->snapshot = snapshot;
  op->file_offset = pagecache::snapshot_offset(*snapshot);
  op->file_bytes = pagecache::snapshot_length_bytes(*snapshot);
  loop_->submit(*op);
}

}  // namespace strictsend::testing
