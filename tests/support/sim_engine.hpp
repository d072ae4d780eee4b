// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/exchange/event_queue.hpp"
#include "engine/exchange/splice_pool.hpp"
#include "engine/host/host.hpp"
#include "engine/loop/queue_loop.hpp"
#include "nic/sim/sim_port.hpp"
#include "pagecache/cache_core.hpp"
#include "pagecache/page_cache.hpp"
#include "tests/support/sim_client.hpp"
#include "tests/support/steering_port.hpp"

namespace strictsend::testing {

/// Something between the loop and the simulated port: another backend, whose device the simulated
/// port plays.
class PortAdapter {
 public:
  PortAdapter() = default;
  PortAdapter(const PortAdapter&) = delete;
  PortAdapter& operator=(const PortAdapter&) = delete;
  virtual ~PortAdapter() = default;
  [[nodiscard]] virtual nic::Port& port() = 0;
  /// Moves what waits, both ways; after each thing that happens.
  virtual void pump() = 0;
  /// After the loop has stopped its queue: lets go of what the device holds.
  virtual void release() = 0;
};
using MakeAdapter =
    std::function<std::unique_ptr<PortAdapter>(nic::SimPort& sim, const nic::DmaMemory& memory)>;

/// A whole engine on the simulated NIC in virtual time: page cache (with its real guard thread),
/// port, loop, application side and clients, all driven by the test's one thread. Reproducible by
/// its seed but for the guard's timing.
class SimEngine {
 public:
  struct Options {
    nic::SimConfig sim;
    pagecache::CacheConfig cache;
    pagecache::CacheTuning tuning;
    std::function<void(engine::LoopConfig&)> edit;  ///< of the loop, before it is made
    std::uint32_t splices_max = 256;
    bool linear = false;
    SimAddresses addresses;
    MakeAdapter adapt;  ///< nothing: the loop is on the simulated port itself
    // Where sim.owns_interface: the network around the engine's address.
    std::uint8_t prefix_bits = 24;
    std::optional<Ipv4Address> gateway;
    std::uint8_t prefix6_bits = 64;
    std::optional<Ipv6Address> gateway6;
    std::uint32_t loops = 1;
    SteeringPort::Steer steer;  ///< where there are several: on which one's queue a packet arrives
  };

  explicit SimEngine(Options options);
  ~SimEngine();

  [[nodiscard]] Time now() const { return now_; }
  [[nodiscard]] pagecache::PageCache& cache() { return *cache_; }
  [[nodiscard]] nic::SimPort& port() { return *port_; }
  [[nodiscard]] engine::QueueLoop& loop(std::size_t number = 0) { return *loops_.at(number); }
  /// Takes that loop's turns away, as if its thread were held up.
  void hold_up(std::size_t number, bool held) { held_.at(number) = held; }
  [[nodiscard]] engine::Host* host() { return host_ ? &*host_ : nullptr; }

  SimClient& connect(const SimClient::Options& options);
  /// The client is gone from the network, as if it had vanished, and with it all that it received.
  void forget(const SimClient& client);

  // The application's side, as the public API does it.
  std::uint64_t submit(ConnectionId connection, pagecache::SnapshotState* snapshot,
                       std::string_view header, std::string_view trailer, std::uint64_t user_data,
                       bool notify_sent = false);
  void cancel(std::uint64_t splice_id);
  struct DatagramOptions {
    IpAddress peer;
    std::uint16_t peer_port = 5000;
    std::uint16_t local_port = 4000;
    std::uint32_t payload_bytes = 1400;
    std::uint64_t rate_bytes_per_s = 0;
    /// Where the simulated port has a kernel behind it: what that said.
    nic::NextHop next_hop{nic::NextHop::State::found, {2, 0, 0, 0, 0, 2}};
  };
  DatagramFlowId open_datagram_flow(const DatagramOptions& options);
  void next_hop_is(DatagramFlowId flow, const nic::NextHop& hop);
  struct DatagramHeader {
    std::string_view bytes;
    DatagramField sequence;
    DatagramField byte_offset;
  };
  std::uint64_t submit(DatagramFlowId flow, pagecache::SnapshotState* snapshot,
                       const DatagramHeader& header, std::uint64_t user_data,
                       bool notify_sent = false);
  void close(DatagramFlowId flow);
  void abort(DatagramFlowId flow);
  std::string receive(ConnectionId connection);
  void close(ConnectionId connection);
  void abort(ConnectionId connection);
  /// Called with each event as it is polled.
  std::function<void(const Event&)> on_event;
  void poll_events();

  /// Moves the time on from one thing that happens to the next until `done` or `limit`; false at
  /// the limit. Runs `between` after each step.
  bool run_until(const std::function<bool()>& done, Duration limit);
  /// The same for so long, whether anything happens or not.
  void run_for(Duration duration);
  std::function<void()> between;
  /// Called with each frame that arrives at the far end; true keeps it from the clients.
  std::function<bool(std::span<const std::byte> frame)> at_peer;

  /// Aborts what is left, stops the device, lets the guard settle: true if everything balances.
  bool stop_and_settle();

 private:
  void step(Time next);
  [[nodiscard]] Time next_time() const;
  void make_loops(engine::LoopConfig config);
  engine::SpliceOp& take_splice(engine::AnyFlow& flow, pagecache::SnapshotState* snapshot,
                                std::string_view header, std::uint64_t user_data, bool notify_sent);
  engine::QueueLoop& loop_of(const engine::AnyFlow& flow);
  engine::DatagramFlow& flow_of(DatagramFlowId flow);
  engine::QueueLoop& loop_of(ConnectionId connection) {
    return *loops_.at(connection.slot / connections_each_);
  }
  engine::Flow& flow_of(ConnectionId connection) {
    return loop_of(connection).flows()[connection.slot % connections_each_];
  }

  Options options_;
  Time now_;
  std::atomic<std::int64_t> progress_ns_;  ///< the same for the guard's thread
  std::unique_ptr<pagecache::PageCache> cache_;
  std::unique_ptr<nic::SimPort> port_;
  std::unique_ptr<PortAdapter> adapter_;
  engine::Notifier notifier_;
  engine::EventQueue events_;
  engine::SplicePool splices_;
  std::optional<engine::Host> host_;
  std::unique_ptr<SteeringPort> steering_;  ///< null with one loop
  nic::PortCapabilities capabilities_;
  std::unique_ptr<engine::LoopRing> ring_;
  std::vector<std::unique_ptr<engine::QueueLoop>> loops_;
  std::vector<bool> held_;
  std::uint32_t connections_each_ = 0;
  std::list<SimClient> clients_;
  Duration look_again_ = microseconds(1);
  bool stopped_ = false;
};

}  // namespace strictsend::testing
