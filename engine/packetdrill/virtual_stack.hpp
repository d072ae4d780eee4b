// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "engine/exchange/event_queue.hpp"
#include "engine/exchange/splice_pool.hpp"
#include "engine/loop/queue_loop.hpp"
#include "engine/packetdrill/outbox.hpp"
#include "engine/packetdrill/script_wire.hpp"
#include "nic/discard/discard_port.hpp"
#include "pagecache/page_cache.hpp"

namespace strictsend::packetdrill {

struct StackConfig {
  Ipv4Address address{};
  Ipv6Address address6{};
  std::uint32_t mtu_bytes = 1500;
  /// Announced at most, to IPv4's peers; to IPv6's the difference of the headers less. 0: what the
  /// MTU allows.
  std::uint16_t mss_bytes = 0;
  std::uint32_t receive_buffer_bytes = 0;
  tcp::CongestionAlgorithm congestion = tcp::CongestionAlgorithm::cubic;
  bool sack = true;
  bool ecn = true;
  bool pacing = true;
};

/// The engine itself in virtual time: page cache with its guard thread, one loop on one queue, and
/// the application's side of both. Nothing of the transport is played here: packets come in as
/// bytes and leave as bytes.
///
/// Owned by SocketLayer, one thread at a time. Only `submit` can wait, for a spare frame.
class VirtualStack {
 public:
  static constexpr std::uint32_t connections_max = 4;

  /// Fails where there is no page cache to be had (userfaultfd: root, or its sysctl).
  static Result<std::unique_ptr<VirtualStack>> create(const StackConfig& config, Time now);
  VirtualStack(const VirtualStack&) = delete;
  VirtualStack& operator=(const VirtualStack&) = delete;
  ~VirtualStack();

  /// The one port that is listened on; 0: none.
  void listen(std::uint16_t port) { loop_->listen(port); }

  // Time.
  [[nodiscard]] Time now() const { return now_; }
  /// When something next happens by itself: a timer.
  [[nodiscard]] Time next_event() const { return loop_->next_deadline(); }
  /// Moves on to `now`, and does all that is to be done there. Whoever wants timers to fire on time
  /// goes from one `next_event` to the next.
  void move_to(Time now);

  // The network's side.
  /// False: longer than a receive buffer, or more packets at once than there are of them.
  bool inject(std::span<const std::byte> ip_packet);
  [[nodiscard]] ScriptWire& wire() { return wire_; }

  // The application's side. An id that is stale means nothing to any of them.
  Result<void> submit(ConnectionId id, std::span<const std::byte> bytes);
  std::size_t receive(ConnectionId id, std::span<std::byte> into);
  [[nodiscard]] std::size_t waiting_bytes(ConnectionId id);
  void close(ConnectionId id);
  void abort(ConnectionId id);
  /// The transport's state, or null when the connection is gone.
  [[nodiscard]] const tcp::Connection* connection(ConnectionId id);
  /// Called with what happens; `rest` are the bytes that nobody had received when it `closed`.
  std::function<void(const Event&, std::vector<std::byte> rest)> on_event;

 private:
  VirtualStack(const StackConfig& config, std::unique_ptr<pagecache::PageCache> cache,
               Outbox outbox, Time now);

  [[nodiscard]] engine::Flow* find(ConnectionId id);
  void settle();
  void take_events();
  void recycle(engine::Flow& flow);

  std::unique_ptr<pagecache::PageCache> cache_;
  Outbox outbox_;
  ScriptWire wire_;
  std::unique_ptr<nic::DiscardPort> port_;
  nic::PortCapabilities capabilities_;
  engine::Notifier notifier_;
  engine::EventQueue events_;
  engine::SplicePool splices_;
  Time now_;
  std::deque<std::pair<ConnectionId, std::vector<std::byte>>> rests_;
  std::unique_ptr<engine::QueueLoop> loop_;
};

}  // namespace strictsend::packetdrill
