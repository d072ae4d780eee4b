// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.hpp"
#include "base/counter.hpp"
#include "base/siphash.hpp"
#include "engine/exchange/intake.hpp"
#include "engine/exchange/loop_ring.hpp"
#include "engine/exchange/notifier.hpp"
#include "engine/exchange/splice_op.hpp"
#include "engine/flow/datagram_flow.hpp"
#include "engine/flow/flow_table.hpp"
#include "engine/loop/timer_wheel.hpp"
#include "engine/transport/tcp/syn_cookie.hpp"
#include "engine/tx/datagram_builder.hpp"
#include "engine/tx/segment_builder.hpp"
#include "engine/tx/tx_slots.hpp"
#include "nic/port.hpp"
#include "nic/wire/arp_packet.hpp"
#include "nic/wire/icmp_echo.hpp"
#include "nic/wire/icmp_error.hpp"
#include "nic/wire/neighbour_packet.hpp"
#include "nic/wire/tcp_packet.hpp"
#include "pagecache/page_cache.hpp"

namespace strictsend::engine {

class Host;

struct LoopConfig {
  std::optional<Ipv4Address> address;  ///< this, the next, or both
  std::optional<Ipv6Address> address6;
  wire::VlanId vlan_id;  ///< of all frames, both ways
  tcp::Config tcp;       ///< its MSS is IPv4's; IPv6's is smaller by the difference of the headers
  bool linear = false;   ///< the packet form
  std::uint32_t first_slot = 0;  ///< of this loop's connections among all
  std::uint32_t connections_max = 0;
  std::uint32_t first_datagram_slot = 0;  ///< the same of its datagram flows
  std::uint32_t datagram_flows_max = 0;
  std::uint32_t receive_buffer_bytes = 0;
  std::uint32_t tx_slots = 0;
  std::uint32_t tx_buffer_bytes = 0;  ///< of a header buffer
  FrameIndex tx_buffers_begin;
  Duration device_timeout = seconds(30);  ///< without any completion while descriptors are out
  SipKey secret;                          ///< for sequence numbers and the flow table
  std::uint32_t number = 0;               ///< of this loop among all
  LoopRing* ring = nullptr;               ///< of them all; null: there is but this one
  Host* host = nullptr;          ///< outlives the loop; none where a kernel answers ARP and ping
  bool keeps_interface = false;  ///< this loop, one of all, announces the host and asks again

  [[nodiscard]] bool serves(const IpAddress& to) const {
    return to.is_v4() ? address && *address == to.v4() : address6 && *address6 == to.v6();
  }
  /// Ours of the family of somebody whom we talk to.
  [[nodiscard]] IpAddress own_address_for(const IpAddress& peer) const {
    return peer.is_v4() ? IpAddress(address.value_or(Ipv4Address{}))
                        : IpAddress(address6.value_or(Ipv6Address{}));
  }
};

/// Written by the loop's thread, read by anyone.
struct LoopCounters {
  Counter syn_cookies_sent, syn_cookies_accepted;  ///< when half the slots wait for handshakes
  Counter connections_accepted, connections_refused, connections_open;
  Counter segments_sent, segments_retransmitted, segments_received, segments_invalid;
  // Of connections that have ended.
  Counter payload_bytes_retransmitted, fast_recoveries, retransmission_timeouts, tail_loss_probes;
  Counter reductions_undone, ecn_reductions, mss_reductions;
  Counter segments_handed_over;        ///< to the next loop, those handed on included
  Counter segments_hand_over_dropped;  ///< because the next loop was too far behind
  Counter path_mtu_messages;           ///< of routers, about segments that are outstanding
  Counter payload_bytes_sent, payload_bytes_copied;
  Counter splices_released, splices_attached;
  Counter frozen_bytes;               ///< gauge: of their snapshots, not acknowledged yet
  Counter sends_failed_for_slowness;  ///< of peers that took less than tcp.progress_bytes_min
  Counter datagram_flows_open, datagrams_sent, datagrams_dropped;
  Counter datagram_splices_unreachable;
  Counter datagrams_refused;  ///< ICMP's "port unreachable" about ours
  Counter device_faults;
  // Where the engine owns the interface:
  Counter arp_requests_answered, echo_requests_answered, address_conflicts;
  Counter neighbour_requests;  ///< ARP requests and solicitations sent for next hops
  Counter flows_readdressed;   ///< because their next hop was found elsewhere
  Counter frames_ignored;      ///< of other protocols, somebody else's, or broken
};

/// The engine on one NIC queue: everything between the application's intakes and the port's rings,
/// run to completion by one thread that calls `poll` in a loop.
///
/// Owned by the engine (or by a test, which calls `poll` with virtual time). It locks nothing,
/// allocates nothing after construction, throws nothing, and makes no system call but the port's
/// kick and the event notification. `cache`, `queue` and `notifier` must outlive it.
class QueueLoop {
 public:
  QueueLoop(const LoopConfig& config, nic::Queue& queue, const nic::PortCapabilities& port,
            pagecache::PageCache& cache, Notifier& notifier, Time now);
  QueueLoop(const QueueLoop&) = delete;
  QueueLoop& operator=(const QueueLoop&) = delete;
  ~QueueLoop();

  // Any thread.
  void submit(SpliceOp& op) { submissions_.push(&op); }
  void request(AnyFlow& flow, AnyFlow::RequestBit bit) {
    if (flow.requests.fetch_or(bit, std::memory_order_acq_rel) == 0) requests_.push(&flow);
  }
  /// Which local port is listened on; 0: none. Flows that exist are not touched.
  void listen(std::uint16_t port) { listen_port_.store(port, std::memory_order_relaxed); }
  [[nodiscard]] std::span<Flow> flows() { return flows_.slots(); }
  [[nodiscard]] std::span<DatagramFlow> datagram_flows() { return datagram_flows_.slots(); }
  [[nodiscard]] const LoopCounters& counters() const { return counters_; }
  [[nodiscard]] bool intakes_empty() const {
    return submissions_.empty() && requests_.empty() && (inbox_ == nullptr || inbox_->empty());
  }
  [[nodiscard]] std::uint64_t memory_bytes() const;

  // The loop's thread.
  /// One turn; true if it did anything.
  bool poll(Time now);
  /// When the next turn is due if nothing arrives.
  [[nodiscard]] Time next_deadline() const {
    return std::min({wheel_.next_deadline(), releases_.next_deadline(), keep_at_});
  }
  /// Whether something can be sent right now, so that sleeping would be wrong. What waits for a
  /// slot, or for room in the port's ring, waits for completions: whoever sleeps while packets are
  /// outstanding looks for them every now and then.
  [[nodiscard]] bool has_work() const {
    if (stopped_) return false;
    if (pending_count_ > 0 && outstanding_ == 0) return true;
    if (pending_count_ >= burst) return false;
    return (!ready_.empty() && slots_.available() > 0) ||
           (!short_of_slots_.empty() && has_slots_for_datagrams());
  }
  /// Whether some flow waits for pages that are not in memory, and whether some came since it was
  /// told so.
  [[nodiscard]] bool waits_for_pages() const { return !waiting_for_pages_.empty(); }
  [[nodiscard]] bool pages_have_come() const {
    return waits_for_pages() && (waiter_has_ended_ || cache_.pages_came() != pages_came_);
  }
  /// Whether another queue's failure wants this one stopped, at the next turn.
  [[nodiscard]] bool must_stop_device() const {
    return !stopped_ && port_.queues_stop_together && config_.ring != nullptr &&
           config_.ring->device_stops();
  }
  /// Whether the device was stopped: by `stop_device`, or because it completed nothing any more.
  [[nodiscard]] bool stopped() const { return stopped_; }
  [[nodiscard]] std::uint32_t packets_outstanding() const { return outstanding_; }
  [[nodiscard]] bool quiet() const { return splices_live_ == 0; }
  /// Sends FIN on every connection after what is queued; for a draining engine.
  void finish_all(Time now);
  /// Resets every connection; their splices are released as far as the device lets them.
  void abort_all(Time now, int error);
  /// Stops the queue and takes every descriptor back that the device lets go of. What it does not
  /// (`packets_outstanding`) stays pinned; further turns ask again.
  void stop_device();
  /// After `stop_device`, when nobody will take another turn: splices that wait for descriptors
  /// still out are released with their error, but the frames stay pinned for good, so that
  /// nobody's bytes change under a device that may read them yet. Returns how many packets.
  std::uint32_t quarantine();
  /// Carries out what application threads have asked for; `poll` does, and once more whoever has
  /// joined the thread, for what came after its last turn.
  void take_commands();
  /// Wakes the polling thread if anything was posted since the last time, and the next loop if
  /// anything was handed to it.
  void publish();

 private:
  static constexpr std::size_t burst = 64;
  static constexpr std::size_t receive_bursts = 16;            ///< a turn at most
  static constexpr std::size_t slots_kept_from_datagrams = 4;  ///< one in so many

  // The turn, in order.
  void reap_completions();
  void receive_packets();
  void take_handed_over();
  void run_timers();
  void keep_interface();
  void pump_flows();
  void transmit_pending();
  void watch_device();

  // Receiving (receive.cpp).
  /// `handed_from`: the loop on whose queue it arrived, if the other loops had it since.
  void receive_packet(const nic::RxPacket& received, std::optional<std::uint32_t> handed_from);
  /// "Packet too big" from a router; false: the packet is something else.
  bool receive_icmp_error(const nic::RxPacket& received, std::optional<std::uint32_t> handed_from);
  void accept_connection(const wire::TcpPacketView& packet, const FlowKey& key,
                         const tcp::SegmentIn& syn);
  void begin_flow(Flow& flow, const wire::TcpPacketView& packet);
  void send_cookie(const wire::TcpPacketView& packet, const FlowKey& key,
                   const tcp::SegmentIn& syn);
  /// Whether it ends a handshake of which nothing was kept; a connection then, if there is room.
  bool brings_cookie(const wire::TcpPacketView& packet, const FlowKey& key,
                     const tcp::SegmentIn& ack);
  void apply(Flow& flow, const tcp::Outcome& outcome, std::span<const std::byte> payload);
  void reply_without_flow(const wire::TcpPacketView& packet, const tcp::SegmentOut& reply);

  // What the engine does beside TCP where it owns the interface (interface.cpp).
  void receive_other(const nic::RxPacket& received);
  void send_frame(const wire::ArpPacket& packet);
  void send_frame(const wire::NeighbourPacket& packet);
  void send_frame(const wire::IcmpEchoView& echo);
  /// Sends the frame that `write` writes into a buffer, whose size it returns.
  template <class Write>
  void send_written(Write write);
  /// Where the answer to a packet goes.
  [[nodiscard]] wire::FlowAddress way_back(const wire::TcpPacketView& packet) const;
  /// The peer has proven to be where this packet came from.
  void follow(Flow& flow, const wire::TcpPacketView& packet);
  /// The flow gets no answer: sends its packets where ARP says that its next hop is now, or asks.
  void doubt_next_hop(Flow& flow);
  void ask_for_next_hop(const IpAddress& peer);
  // Segments of connections that this loop does not know (strays.cpp).
  [[nodiscard]] bool may_be_of_another_loop(const Flow* flow, const tcp::SegmentIn& segment,
                                            std::optional<std::uint32_t> handed_from) const;
  void hand_over(std::span<const std::byte> frame, std::uint32_t origin);

  // Sending (send.cpp).
  enum class PumpResult : std::uint8_t { idle, more, retry_later, waits_for_pages, blocked, ended };
  PumpResult pump_flow(Flow& flow);
  void account_sent(Flow& flow, const tcp::SegmentOut& segment);
  [[nodiscard]] int failure_of(Flow& flow, const tcp::SegmentOut& segment) const;
  void send_control(const wire::TcpHeaderTemplate& header, const tcp::SegmentOut& segment);
  void enqueue_pending(TxSlot& slot);
  void append_pending(TxSlot& slot);
  void unpin_frames(const TxSlot& slot);
  void complete(TxSlot& slot, nic::TxStatus status);
  /// The packet refers to none of its splices any more.
  void give_up_splices(TxSlot& slot, nic::TxStatus status);

  // Life of connections and splices (lifecycle.cpp).
  void attach(SpliceOp& op);
  void carry_out(AnyFlow& flow, std::uint32_t requests);
  void carry_out(Flow& flow, std::uint32_t requests);
  void cancel_requested(Flow& flow);
  void acknowledge(Flow& flow, std::uint64_t acked_to);
  /// So many bytes of its snapshot are still to be acknowledged.
  void set_frozen(SpliceOp& op, std::uint64_t bytes);
  void finish_splice(SpliceOp& op, int error);
  void release_splice(SpliceOp& op);
  void end_flow(Flow& flow, int error);
  void count_ended(const tcp::SenderCounters& ended);
  void abort_flow(Flow& flow, int error);
  void close_if_released(AnyFlow& flow);
  void mark_ready(AnyFlow& flow);
  void set_timer(Flow& flow);
  void post(AnyFlow& flow, AnyFlow::EventBit bit);
  void post(SpliceOp& op, SpliceOp::EventBit bit);
  /// The device has failed: resets everything and stops it, and with it the other loops' queues
  /// where the port needs that.
  /// `error`: what the application is told, ENODEV or ETIMEDOUT.
  void give_up_device(int error);

  // Datagrams (datagrams.cpp), and where they go (next_hops.cpp).
  void begin(DatagramFlow& flow);
  void carry_out(DatagramFlow& flow, std::uint32_t requests);
  void cancel_requested(DatagramFlow& flow);
  PumpResult pump_datagrams(DatagramFlow& flow);
  enum class Handed : std::uint8_t { one, none, retry_later, waits_for_pages, blocked };
  Handed hand_over_datagram(DatagramFlow& flow);
  /// Nothing slows an unpaced flow down but the device: what acknowledges and answers for others
  /// must not find every slot taken.
  [[nodiscard]] bool has_slots_for_datagrams() const {
    return slots_.available() > slots_.size() / slots_kept_from_datagrams;
  }
  void account_sent(SpliceOp& op, const udp::Slice& slice);
  /// One of the splice's packets is complete.
  void datagram_completed(SpliceOp& op, TxSlot& slot, nic::TxStatus status);
  /// Nothing more of a splice at the front or anywhere in the queue is sent.
  void fail_splice(DatagramFlow& flow, SpliceOp& op, int error);
  void end_if_finished(DatagramFlow& flow);
  void end_flow(DatagramFlow& flow, int error);
  void set_timer(DatagramFlow& flow);
  [[nodiscard]] nic::NextHop next_hop_of(DatagramFlow& flow);
  [[nodiscard]] nic::NextHop ask_host(DatagramFlow& flow);
  /// False: the next hop is not known yet, or what waited for it has failed.
  [[nodiscard]] bool follow_next_hop(DatagramFlow& flow);
  /// ICMP's "port unreachable" about a datagram of ours; false: the packet is something else.
  bool receive_refusal(const nic::RxPacket& received);

  // What the deliberate errors of base/mutation.hpp do; never called otherwise.
  void give_up_sent(SpliceOp& op);
  void unpin_under_descriptors(const SpliceOp& op);
  void unpin_pending(std::size_t count);
  void release_pending_datagrams(std::size_t count);
  void pin_handed_over(std::uint32_t begin, std::uint32_t end);

  const LoopConfig config_;
  nic::Queue& queue_;
  const nic::PortCapabilities& port_;
  pagecache::PageCache& cache_;
  Notifier& notifier_;

  Intake<SpliceOp, &SpliceOp::submit_next> submissions_;
  Intake<AnyFlow, &AnyFlow::request_next> requests_;
  std::atomic<std::uint16_t> listen_port_ = 0;
  HandOver* const inbox_;   ///< from the loop before this one; null: this one is alone
  HandOver* const outbox_;  ///< to the next one

  tcp::RunPool runs_;  // outlives the connections
  FlowTable flows_;
  DatagramFlows datagram_flows_;
  TxSlots slots_;
  PayloadGatherer gatherer_;
  SegmentBuilder builder_;
  DatagramBuilder datagram_builder_;
  TimerWheel wheel_;     // what protocols wait for
  TimerWheel releases_;  // what pacers hold back
  FlowQueue<&AnyFlow::ready_next> ready_;
  FlowQueue<&AnyFlow::ready_next> short_of_slots_;  ///< datagram flows whose turn comes with slots
  FlowQueue<&AnyFlow::ready_next> waiting_for_pages_;  ///< that are not in memory
  std::uint64_t pages_came_ = 0;  ///< when those that waited were last put among the ready
  bool waiter_has_ended_ = false;

  // Built packets that the port has not taken yet, oldest first: a ring of slot numbers.
  std::vector<std::uint32_t> pending_;
  std::uint32_t pending_begin_ = 0;
  std::uint32_t pending_count_ = 0;

  Time now_;
  Time keep_at_ = Time::never();   ///< when to keep the interface, if this loop does
  Time health_at_;                 ///< when to ask the device for its health
  Time hurried_for_;               ///< the completion_seen_ that the device was last hurried after
  Time completion_seen_;           ///< when the device last completed something, or had nothing
  std::uint32_t outstanding_ = 0;  ///< packets that the port has taken and not completed
  std::uint32_t half_open_ = 0;
  tcp::SynCookies cookies_;
  Time cookies_until_;  ///< when none that was sent is good any more
  std::uint64_t splices_live_ = 0;
  bool worked_ = false;
  bool posted_ = false;
  bool handed_over_ = false;
  bool stopped_ = false;
  int kick_error_ = 0;
  int abort_error_ = ECONNABORTED;  ///< what everything was last aborted with
  bool link_lost_ = false;          ///< since the interface was last kept
  LoopCounters counters_;
};

}  // namespace strictsend::engine
