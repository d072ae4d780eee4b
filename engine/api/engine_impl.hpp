// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/exchange/event_queue.hpp"
#include "engine/exchange/loop_ring.hpp"
#include "engine/exchange/notifier.hpp"
#include "engine/exchange/splice_pool.hpp"
#include "engine/flow/slot_shares.hpp"
#include "engine/host/host.hpp"
#include "engine/host/next_hop_keeper.hpp"
#include "engine/loop/loop_thread.hpp"
#include "engine/tx/datagram_builder.hpp"
#include "nic/port.hpp"
#include "pagecache/page_cache.hpp"
#include <strictsend/engine.hpp>

namespace strictsend {

/// Everything an engine owns, in the order of its making; the reverse is the order of its end: the
/// engine threads first, then the port, then the page cache whose arena the port was registered on.
class __attribute__((visibility("hidden"))) Engine::Impl {
 public:
  static Result<std::unique_ptr<Impl>> open(const EngineConfig& config);
  Impl(const EngineConfig& config, std::unique_ptr<pagecache::PageCache> cache,
       std::unique_ptr<nic::Port> port, std::unique_ptr<engine::LoopRing> ring, UniqueFd event_fd,
       std::uint64_t inline_bytes_max);
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  [[nodiscard]] std::string description() const;
  [[nodiscard]] std::uint64_t memory_bytes() const;
  Result<void> listen(std::uint16_t port);
  std::size_t poll(std::span<Event> events);
  Result<std::size_t> receive(ConnectionId id, std::span<std::byte> into);
  Result<void> end(ConnectionId id, engine::Flow::RequestBit bit, const char* operation);
  Result<std::uint64_t> submit(Splice&& splice);
  Result<DatagramFlowId> open_datagram_flow(const DatagramFlowConfig& config);
  Result<void> end(DatagramFlowId id, engine::AnyFlow::RequestBit bit, const char* operation);
  Result<std::uint64_t> submit(DatagramSplice&& splice);
  Result<void> cancel(std::uint64_t splice_id);
  [[nodiscard]] EngineStats stats() const;
  [[nodiscard]] std::uint32_t queue_count() const { return ring_->size(); }
  [[nodiscard]] QueueStats queue_stats(std::uint32_t queue) const;
  EngineStats stop(std::uint32_t drain_ms);
  [[nodiscard]] std::optional<Error> device_failure() const;
  [[nodiscard]] bool is_stopped() const;

  [[nodiscard]] pagecache::PageCache& cache() { return *cache_; }
  [[nodiscard]] int event_fd() const { return notifier_.event_fd(); }
  [[nodiscard]] const std::vector<IpAddress>& addresses() const { return addresses_; }
  [[nodiscard]] const PortFacts& port_facts() const { return port_facts_; }

 private:
  /// What to answer on: what was asked for, or what the system has given the device.
  Result<void> take_addresses(std::optional<Ipv4Address> v4, std::optional<Ipv6Address> v6);
  Result<void> start_threads();
  /// The same as `stats`, by name, for a port that shows them somewhere.
  [[nodiscard]] std::vector<nic::Statistic> statistics() const;
  /// Where no kernel stands behind the port, the engine is the host. `frame_bytes_max`: what its
  /// header buffers can send.
  Result<void> take_interface(std::uint32_t frame_bytes_max);
  [[nodiscard]] engine::LoopThread& thread_of(std::uint32_t slot);
  [[nodiscard]] engine::Flow& flow_of(std::uint32_t slot);
  [[nodiscard]] engine::Flow* find(ConnectionId id);
  void recycle(engine::AnyFlow& flow);
  void request(engine::AnyFlow& flow, engine::AnyFlow::RequestBit bit);
  // Under mutex_:
  /// A splice for the flow, not yet filled in, if it can take one more.
  Result<engine::SpliceOp*> take_splice(engine::AnyFlow& flow, std::size_t inline_bytes);
  std::uint64_t push_splice(engine::SpliceOp& op);

  // Datagrams (datagrams.cpp); all but the first three under mutex_.
  /// Where no host of ours decides, the kernel is asked, so not under mutex_.
  Result<nic::RouteQuery> route_to(const IpAddress& peer);
  [[nodiscard]] engine::LoopThread& thread_of(const engine::AnyFlow& flow);
  [[nodiscard]] engine::DatagramFlow& datagram_flow_of(std::uint32_t slot);
  [[nodiscard]] engine::DatagramFlow* find(DatagramFlowId id);
  [[nodiscard]] std::optional<std::uint16_t> free_local_port(const DatagramFlowConfig& config);
  engine::DatagramFlow* take_datagram_flow();

  const EngineConfig config_;
  std::vector<IpAddress> addresses_;  ///< IPv4's first; one of each family at most
  PortFacts port_facts_;
  std::string port_description_;
  std::uint64_t port_memory_bytes_ = 0;  ///< besides the arena
  std::string form_reason_;
  bool linear_ = false;

  std::unique_ptr<pagecache::PageCache> cache_;
  std::unique_ptr<nic::Port> port_;
  std::unique_ptr<engine::LoopRing> ring_;
  const engine::SlotShares shares_;  ///< of max_connections among the queues
  engine::Notifier notifier_;
  engine::EventQueue events_;

  std::mutex stop_mutex_;  ///< held by `stop`; before mutex_
  /// Guards the splice pool and `stopped_`. Held for a moment by application threads, never by an
  /// engine thread; a submit pushes under it, so that nothing comes behind the last turn's intake.
  mutable std::mutex mutex_;
  engine::SplicePool splices_;
  std::uint64_t splices_submitted_ = 0;
  const std::uint64_t inline_bytes_max_;  ///< bounds the memory of headers and trailers
  std::uint64_t inline_bytes_ = 0;
  bool stopped_ = false;
  std::string port_failure_;               ///< once the port has ended: what it said of its device
  std::uint32_t packets_quarantined_ = 0;  ///< after `stop`: those that the device did not let go

  engine::DatagramLimits datagram_limits_;
  const std::uint32_t datagram_flows_each_;  ///< slots of each queue
  std::uint32_t datagram_flows_open_ = 0;    ///< and not yet polled as closed

  std::optional<engine::Host> host_;  ///< where no kernel stands behind the port; of all threads
  std::vector<std::unique_ptr<engine::LoopThread>> threads_;  ///< one for each NIC queue
  /// Where a kernel does, of datagram flows. It alone asks the port for next hops, so `stop` ends
  /// it before the port.
  std::unique_ptr<engine::NextHopKeeper> next_hops_;
};

}  // namespace strictsend
