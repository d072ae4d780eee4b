// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/exchange/event_queue.hpp"
#include "engine/exchange/splice_pool.hpp"
#include "engine/host/host.hpp"
#include "engine/loop/queue_loop.hpp"
#include "nic/discard/discard_port.hpp"
#include "pagecache/page_cache.hpp"
#include "tests/support/acking_peer.hpp"

namespace strictsend::testing {

/// A whole engine on a port that discards, with a peer that acknowledges: what is left is the
/// engine's own cost. Each connection is sent one file again and again. One thread drives it, in
/// whatever time it is given; or one for each queue, which then makes that loop's turns, and one
/// for the application.
class DiscardEngine {
 public:
  struct Options {
    std::string path;             ///< of the file to send
    std::size_t connections = 1;  ///< on each queue
    std::uint32_t queues = 1;
    std::vector<std::string> paths;     ///< of each queue's file, where they are not the same one
    std::size_t splices_submitted = 1;  ///< at a time on each connection
    std::size_t active = SIZE_MAX;      ///< connections that are sent to; the others stay idle
    std::uint64_t cache_bytes = 64 << 20;
    bool protect = true;
    bool linear = false;
    bool checksum_offload = true;
    bool segmentation = false;
    /// Makes a port to whose queues the packets go, instead of being discarded at once. Received is
    /// still only what the peer sends.
    std::function<std::unique_ptr<nic::Port>(const nic::DmaMemory&)> device;
    /// No kernel behind the port: the engine is the host, and has this gateway.
    std::optional<Ipv4Address> gateway;
  };

  /// Throws with the reason when the cache or the file cannot be had.
  explicit DiscardEngine(const Options& options);
  ~DiscardEngine();
  DiscardEngine(const DiscardEngine&) = delete;
  DiscardEngine& operator=(const DiscardEngine&) = delete;

  /// The engine thread's turn.
  bool poll(Time now, std::size_t queue = 0) { return loops_[queue]->poll(now); }
  /// The application's: takes events, and submits the file again where it was released.
  void serve();

  [[nodiscard]] AckingPeer& peer(std::size_t queue = 0) { return *peers_[queue]; }
  [[nodiscard]] const AckingPeer& peer(std::size_t queue = 0) const { return *peers_[queue]; }
  [[nodiscard]] nic::DiscardPort& port() { return *port_; }
  [[nodiscard]] std::size_t connections_open() const { return open_; }
  [[nodiscard]] std::uint64_t released() const { return released_; }
  [[nodiscard]] engine::QueueLoop& loop() { return *loops_[0]; }
  [[nodiscard]] pagecache::PageCache& cache() { return *cache_; }
  [[nodiscard]] std::shared_ptr<pagecache::CachedFile>& file() { return files_[0]; }
  [[nodiscard]] int event_fd() const { return notifier_.event_fd(); }

 private:
  void submit(ConnectionId connection);

  std::unique_ptr<pagecache::PageCache> cache_;
  std::vector<std::unique_ptr<AckingPeer>> peers_;
  std::unique_ptr<nic::DiscardPort> port_;
  std::unique_ptr<nic::Port> device_;
  std::vector<std::unique_ptr<nic::Queue>> device_queues_;
  engine::Notifier notifier_;
  engine::EventQueue events_;
  engine::SplicePool splices_;
  std::optional<engine::Host> host_;
  std::unique_ptr<engine::LoopRing> ring_;
  std::vector<std::unique_ptr<engine::QueueLoop>> loops_;
  std::uint32_t slots_each_ = 0;
  std::size_t splices_submitted_ = 1;
  std::size_t active_ = 0;
  std::vector<std::shared_ptr<pagecache::CachedFile>> files_;  ///< one, or one for each queue
  std::size_t open_ = 0;
  std::uint64_t released_ = 0;
};

}  // namespace strictsend::testing
