// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <strictsend/address.hpp>
#include <strictsend/datagram.hpp>
#include <strictsend/file.hpp>
#include <strictsend/result.hpp>

namespace strictsend {

/// How a segment's payload reaches the NIC queue.
enum class TxForm : std::uint8_t {
  automatic,  ///< the engine chooses by what the port is, and says so in Engine::description
  fragments,  ///< header + pieces of the cached pages themselves; the engine copies nothing
  linear,     ///< the payload is copied behind the header and counted in SpliceResult::bytes_copied
};

/// Whether snapshots are protected.
enum class Protection : std::uint8_t {
  on,
  off_unsafe,  ///< no protection at all: for measuring what it costs and for showing what it
               ///< prevents
};

/// How a connection's sending rate adapts to the path.
enum class Congestion : std::uint8_t {
  cubic,  ///< RFC 9438, with HyStart++ (RFC 9406)
  reno,   ///< RFC 5681
  bbr,    ///< BBR version 1: by measured bandwidth and round trip rather than by loss
};

struct EngineConfig {
  /// "af_xdp:IFACE", "dpdk:PORT" (a PCI address, or a virtual device's name), or "discard:" (takes
  /// every packet, sends none).
  std::string nic;
  std::vector<std::string> nic_arguments;  ///< DPDK's, for its EAL: a process has one, so only the
                                           ///< first engine's count
  std::uint32_t queues = 0;  ///< NIC queues to serve, an engine thread and 15 MiB of buffers each;
                             ///< 0: all that it has
  /// The addresses to serve: one or both. With neither given, the interface's first IPv4 address
  /// and its first IPv6 address (of global scope, or else the link's), as far as it has them. Where
  /// no kernel stands behind the port, the engine answers ARP, neighbour discovery and ping for
  /// them, and one must be given.
  std::optional<Ipv4Address> address;
  std::optional<Ipv6Address> address6;
  /// Of the networks those are in; only used where the engine owns the interface, elsewhere it is
  /// the kernel's to know.
  std::uint8_t prefix_bits = 24;
  std::uint8_t prefix6_bits = 64;
  /// To all other networks, where the engine owns the interface; elsewhere they are refused.
  std::optional<Ipv4Address> gateway;
  std::optional<Ipv6Address> gateway6;
  /// The 802.1Q VLAN to be in, 1 to 4094: all frames carry its tag, and others are not ours. A
  /// kernel behind the port must not strip tags: ethtool -K IFACE rxvlan off.
  std::optional<std::uint16_t> vlan_id;
  std::uint32_t mtu_bytes = 0;       ///< to be set where the engine owns the interface; 0: as it is
  bool checksum_offload = true;      ///< have the port sum packets where it can; false: in software
  bool segmentation_offload = true;  ///< have the port cut packets where it can (and sums them)
  Congestion congestion = Congestion::cubic;
  bool ecn = true;  ///< agree on explicit congestion notification with clients that ask (RFC 3168)
  bool pacing = true;  ///< spread what an acknowledgement lets out over the round trip; bbr always
  TxForm tx_form = TxForm::automatic;
  Protection protection = Protection::on;

  std::uint64_t cache_bytes = std::uint64_t{1} << 30;  ///< for files, spare frames included
  /// A file larger than this is not kept in memory as a whole: its pages are read when they are to
  /// be sent, and leave the memory again. It cannot be mapped. 0: all that the cache takes.
  std::uint64_t whole_file_bytes_max = 0;
  std::uint32_t spare_frames =
      0;  ///< kept for preserving pages; 0: 1/16 of the cache, at least 256
  std::uint32_t writer_wait_limit_ms =
      100;  ///< longest wait of a writer for a spare frame; then a send is failed
  bool audit =
      false;  ///< checksum pages at freeze, verify at release: finds uncovered writers; slow

  std::uint32_t max_connections = 4096;    ///< in total, dealt out evenly to the queues: one whose
                                           ///< share is taken refuses more
  std::uint32_t max_datagram_flows = 256;  ///< likewise; 0: none are wanted
  std::uint32_t max_splices = 8192;        ///< submitted and not yet collected by poll
  std::uint32_t receive_buffer_bytes =
      16384;  ///< per connection; a power of two; when full, its window closes
  std::uint32_t idle_timeout_ms =
      60'000;  ///< an established connection on which nothing moves is reset; 0: never
  std::uint32_t min_progress_bytes =
      1024;  ///< while data is due, fewer acknowledged in an idle_timeout_ms are none: the peer is
             ///< too slow and is reset; 0: one byte will do
  std::uint32_t time_wait_ms = 1'000;
  std::uint32_t spin_us = 20;  ///< how long an engine thread polls without work before it sleeps

  std::string pcap_path;  ///< record every packet there; empty: no recording
};

/// A connection, by slot and generation: a stale id is recognised and answered with ENOTCONN.
struct ConnectionId {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  bool operator==(const ConnectionId&) const = default;
};

/// What to send: header bytes, then the snapshot, then trailer bytes. Any of the three may be
/// empty.
struct Splice {
  ConnectionId connection;
  Snapshot snapshot;  ///< moved in once submitted; given up when the splice is released
  std::span<const std::byte>
      header;  ///< copied by submit; at most max_inline_bytes together with the trailer
  std::span<const std::byte> trailer;
  bool notify_sent = false;     ///< ask for Event::sent too; Event::released always comes
  std::uint64_t user_data = 0;  ///< handed back in its events

  static constexpr std::size_t max_inline_bytes = 65536;
};

struct SpliceResult {
  /// 0, or ECANCELED, ECONNRESET, ETIMEDOUT, ENOBUFS (chosen as victim), ENETDOWN, ESTALE
  /// (another process changed the file before all of it was in memory), the disk's errors; of
  /// datagrams also EHOSTUNREACH (the next hop does not answer).
  int error = 0;
  std::uint64_t bytes_sent = 0;    ///< handed to the NIC for the first time; of datagrams those of
                                   ///< the snapshot
  std::uint64_t bytes_acked = 0;   ///< acknowledged by the receiver; of datagrams always 0
  std::uint64_t bytes_copied = 0;  ///< payload bytes that the engine copied in order to send them
  std::uint64_t pages_preserved =
      0;  ///< pages of the range whose old bytes a writer made the guard keep
  std::uint64_t datagrams_sent = 0;     ///< handed to the NIC
  std::uint64_t datagrams_dropped = 0;  ///< of those, that it says it did not send
};

struct Event {
  enum class Kind : std::uint8_t {
    accepted,     ///< a new connection; `peer` is set
    readable,     ///< bytes wait in `receive`
    peer_closed,  ///< the peer has sent FIN: `receive` ends after what is buffered
    closed,  ///< the connection or datagram flow is gone; `result.error` says why; its id is stale
             ///< once this is polled. Only a splice that was submitted after the connection had
             ///< ended can still follow it, with its `released` (ENOTCONN)
    sent,    ///< the splice's last byte was handed to the NIC
    released,     ///< the splice's bytes are acknowledged (of datagrams: sent), or given up, and no
                  ///< descriptor refers to them: the last event of a splice, exactly one for each
                  ///< successful submit.
                  ///< (`stop` says what becomes of it if the device never lets go.)
    device_lost,  ///< a NIC queue was stopped because of its device, which was removed or answers
                  ///< no more: once for an engine, of no connection. `result.error` is ENODEV or
                  ///< ETIMEDOUT, Engine::device_failure has more. That queue's connections are
                  ///< reset (ENETDOWN), no new ones come to it, and it does not come back: call
                  ///< `stop`, and open another engine once the device is there again
  };
  Kind kind = Kind::accepted;
  ConnectionId connection;       ///< that it is of, unless it is of a datagram flow:
  DatagramFlowId datagram_flow;  ///< whose generation is 0 if it is not
  std::uint64_t user_data = 0;
  SpliceResult result;
  IpAddress peer_address;
  std::uint16_t peer_port = 0;
};

/// Counters since the engine was opened. Each is monotonic unless it is called a gauge; read
/// without locks, so that two of them may be of slightly different instants.
struct EngineStats {
  std::uint64_t connections_accepted = 0;
  std::uint64_t connections_refused = 0;  ///< over max_connections, or its queue's share of them
  std::uint64_t connections_open = 0;     ///< gauge
  std::uint64_t syn_cookies_sent = 0;     ///< while half of the connections waited for handshakes
  std::uint64_t syn_cookies_accepted = 0;
  std::uint64_t segments_sent = 0;  ///< on the wire: each of those that a port cuts counts
  std::uint64_t segments_retransmitted = 0;
  // Of connections that have ended:
  std::uint64_t payload_bytes_retransmitted = 0;
  std::uint64_t fast_recoveries = 0;          ///< losses that acknowledgements told of
  std::uint64_t retransmission_timeouts = 0;  ///< RFC 6298
  std::uint64_t tail_loss_probes = 0;         ///< RFC 8985 §7
  std::uint64_t reductions_undone = 0;        ///< that turned out to answer no loss
  std::uint64_t ecn_reductions = 0;           ///< for congestion that routers marked
  std::uint64_t mss_reductions = 0;           ///< for paths that carry less than was agreed on
  std::uint64_t segments_received = 0;
  std::uint64_t segments_invalid = 0;      ///< bad checksum, malformed, not ours
  std::uint64_t segments_handed_over = 0;  ///< from queue to queue: they arrived on another one
                                           ///< than their connection's, or are of none
  std::uint64_t segments_hand_over_dropped = 0;  ///< of such, because the next queue's thread was
                                                 ///< behind; the peer sends them again
  std::uint64_t path_mtu_messages = 0;           ///< of routers: a segment of ours was too big
  std::uint64_t payload_bytes_sent = 0;          ///< of snapshots, retransmissions included
  std::uint64_t payload_bytes_copied =
      0;  ///< by the engine in order to send (linear form); preserving not counted
  std::uint64_t datagram_flows_open = 0;  ///< gauge
  std::uint64_t datagrams_sent = 0;       ///< whose snapshot bytes payload_bytes_… count too
  std::uint64_t datagrams_dropped = 0;    ///< by the NIC, which says that it did not send them
  std::uint64_t datagram_splices_unreachable = 0;  ///< given up: the next hop does not answer
  std::uint64_t datagrams_refused = 0;  ///< peers' "port unreachable", where the engine sees them
  std::uint64_t splices_submitted = 0;
  std::uint64_t splices_released = 0;
  // Where the engine owns the interface:
  std::uint64_t arp_requests_answered = 0;   ///< and IPv6's neighbour solicitations
  std::uint64_t echo_requests_answered = 0;  ///< pings
  std::uint64_t address_conflicts = 0;       ///< packets by which another host claims our address
  std::uint64_t neighbour_requests = 0;      ///< sent to find the gateways and silent peers
  std::uint64_t flows_readdressed = 0;  ///< connections whose next hop turned out to be elsewhere
  std::uint64_t frames_ignored = 0;     ///< other protocols, others' and broken frames
  std::uint64_t pages_preserved = 0;    ///< old bytes copied away, writer went on in place
  std::uint64_t pages_redirected = 0;   ///< frame under a descriptor: writer moved to a copy
  std::uint64_t pages_came_home = 0;
  std::uint64_t write_faults = 0;
  std::uint64_t writer_waits = 0;  ///< faults that waited for a spare frame
  std::uint64_t writer_stall_ns_max =
      0;  ///< gauge: the longest time from reading a fault to answering it
  std::uint64_t sends_failed_for_writers = 0;  ///< victims
  std::uint64_t frames_total = 0;              ///< gauges, in frames of 4 KiB:
  std::uint64_t frames_free = 0;
  std::uint64_t frames_cached = 0;   ///< holding current pages of files
  std::uint64_t frames_history = 0;  ///< holding old pages for snapshots
  std::uint64_t frames_port = 0;     ///< headers and receive buffers
  std::uint64_t frames_pinned = 0;   ///< under descriptors (counted when asked: not for hot paths)
  std::uint64_t snapshots_live = 0;
  std::uint64_t audit_failures = 0;  ///< pages that changed under a snapshot
  // Of files that are not kept in memory as a whole:
  std::uint64_t pages_loaded = 0;
  std::uint64_t pages_evicted = 0;
  std::uint64_t sends_failed_for_disk = 0;  ///< their pages could not be read any more
};

/// The same of one NIC queue and its engine thread. Those that begin with nic_ are of the queue
/// itself, up to date when its thread has nothing to do and else some 100 ms old.
struct QueueStats {
  std::uint64_t connections_accepted = 0;
  std::uint64_t connections_refused = 0;
  std::uint64_t connections_open = 0;  ///< gauge
  std::uint64_t segments_sent = 0;
  std::uint64_t segments_retransmitted = 0;
  std::uint64_t segments_received = 0;  ///< from this queue, whosever they were
  std::uint64_t segments_invalid = 0;
  std::uint64_t segments_handed_over = 0;        ///< to the next queue, those handed on included
  std::uint64_t segments_hand_over_dropped = 0;  ///< because the next one was too far behind
  std::uint64_t path_mtu_messages = 0;
  std::uint64_t payload_bytes_sent = 0;
  std::uint64_t payload_bytes_copied = 0;
  std::uint64_t device_faults = 0;  ///< the queue was stopped because it completed nothing
  std::uint64_t nic_packets_sent = 0;
  std::uint64_t nic_bytes_sent = 0;
  std::uint64_t nic_completions = 0;
  std::uint64_t nic_packets_dropped = 0;  ///< completed without having been sent
  std::uint64_t nic_kicks = 0;            ///< system calls made to start transmission
  std::uint64_t nic_packets_received = 0;
  std::uint64_t nic_bytes_received = 0;
  std::uint64_t nic_receive_drops = 0;  ///< no buffer, ring full, malformed
  std::uint64_t nic_faults = 0;         ///< descriptors refused, completions of none outstanding
};

/// What an engine's NIC port is and what of it is in use: constant once the engine is open.
struct PortFacts {
  std::string spec;                 ///< EngineConfig::nic
  std::string driver;               ///< "net_e1000_em", "veth"; "unknown" where none is told
  std::uint32_t mtu_bytes = 0;      ///< of the IP packet
  std::uint32_t queues = 0;         ///< served, an engine thread each
  TxForm form = TxForm::linear;     ///< in use: fragments or linear, never automatic
  std::uint32_t max_fragments = 1;  ///< that the port takes for one packet, the header's included;
                                    ///< too few for this MTU's payload: only linear can be used
  bool fragments_possible = false;  ///< whether it takes enough of them for TxForm::fragments
  bool checksum_offload = false;    ///< in use: the port writes TCP's checksums
  std::uint32_t segmented_bytes_max =
      0;                         ///< longest payload that TxForm::fragments hands over at
                                 ///< once for the port to cut into packets; 0: it cuts none
  bool copies_payload = false;   ///< the driver or kernel behind copies each packet before the wire
  bool late_completion = false;  ///< descriptors may stay out while nothing more is sent
  bool owns_interface = false;   ///< no kernel behind it: the engine answers ARP, neighbour
                                 ///< discovery and ping
};

/// A send engine on one NIC port: a page cache, a write guard, and an engine thread per NIC queue.
///
/// The guarantee (strict splice). `freeze` has one linearisation point inside the call. Every byte
/// that is sent of that snapshot, first transmission or tenth retransmission, is the file at that
/// point: a write that returned before `freeze` was called is in it, a write that began after
/// `freeze` returned is not, one that ran meanwhile may be, and if a write is in it, so is every
/// write that happened before that one. The bytes are neither copied nor locked for that; see File
/// for the ways of writing that it covers.
///
/// Threads. Any thread may open files, freeze, submit, cancel, receive and close, but for one
/// connection only one at a time; `poll` is one thread's at a time. No callback ever runs on an
/// engine thread. The calls above never wait for the network; those on files may wait for the disk.
class STRICTSEND_API Engine {
 public:
  /// Sets everything up: the arena, the guard, the port. Fails with what is missing and how to get
  /// it.
  static Result<std::unique_ptr<Engine>> open(const EngineConfig& config);
  /// Takes off the interface of `nic` what an engine has left there that was killed, or that at its
  /// end had not the rights any more to which it was opened (CAP_NET_ADMIN, and CAP_SYS_ADMIN for
  /// libxdp): the XDP program, which then passes every packet to the kernel. The value: whether
  /// there was any. False too while a running engine has the interface, and of ports that leave
  /// nothing.
  static Result<bool> clear_interface(const std::string& nic);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine();  ///< stops; splices not yet released are reset

  /// For people: port, packet form and why, memory in total.
  [[nodiscard]] std::string description() const;
  /// On which it answers: one or two, IPv4's first.
  [[nodiscard]] std::vector<IpAddress> addresses() const;
  [[nodiscard]] PortFacts port() const;
  [[nodiscard]] std::uint64_t memory_bytes()
      const;  ///< all that the engine takes, fixed from here on

  Result<void> listen(std::uint16_t port);

  /// Becomes readable when events wait; cleared by `poll`.
  [[nodiscard]] int event_fd() const;
  /// Takes events, in order for each connection; returns how many. Call it until it returns 0
  /// before sleeping on `event_fd`: what did not fit waits without making that readable again.
  std::size_t poll(std::span<Event> events);

  /// Copies received bytes out and reopens the window: the bytes copied; 0 when none wait.
  Result<std::size_t> receive(ConnectionId connection, std::span<std::byte> into);
  /// Sends FIN after everything submitted; `abort` resets at once.
  Result<void> close(ConnectionId connection);
  Result<void> abort(ConnectionId connection);

  /// A flow of datagrams to a peer. Which neighbour they go to is found out meanwhile: where a
  /// kernel stands behind the port by asking it, now and every second, else by ARP or neighbour
  /// discovery. The kernel's tables are those of the network namespace in which the engine was
  /// opened. What is submitted waits for that, and fails with EHOSTUNREACH when nobody answers
  /// for some seconds. ENETUNREACH: there is no way to that address. EADDRINUSE: another flow here
  /// has these ports and this peer. ENOBUFS: all max_datagram_flows are open.
  Result<DatagramFlowId> open_datagram_flow(const DatagramFlowConfig& config);
  /// Ends it after everything submitted has been sent; `abort` sends no more. Then comes `closed`.
  Result<void> close(DatagramFlowId flow);
  Result<void> abort(DatagramFlowId flow);

  /// Loads the file (waits for the disk), unless it is larger than whole_file_bytes_max. `flags`
  /// are those of File: O_RDONLY or O_RDWR for sync. The second form takes a descriptor, which the
  /// caller keeps.
  Result<File> open_file(const std::string& path, int flags);
  Result<File> open_file(int fd);

  /// Freezes [offset, offset + length) of the file as it is now; `length` is cut at the end of the
  /// file. If the backing file was changed by another process, loads the new version first.
  Result<Snapshot> freeze(File& file, std::uint64_t offset, std::uint64_t length_bytes);

  /// Queues it on its connection; `frozen` is true when it returns. EAGAIN: too many splices, poll
  /// first. ENOTCONN: the connection is gone. On any error the splice is as it was.
  Result<std::uint64_t> submit(Splice&& splice);
  /// The same for datagrams, one splice of a flow behind the other. EMSGSIZE: a datagram with this
  /// header would not fit the port's MTU.
  Result<std::uint64_t> submit(DatagramSplice&& splice);
  /// Takes back a splice. One of which nothing was sent yet leaves the stream as if it had not been
  /// submitted; otherwise the connection is reset. Of datagrams, what was not sent yet is not.
  /// Either way its `released` comes, with ECANCELED, unless all of it had been sent.
  Result<void> cancel(std::uint64_t splice_id);

  [[nodiscard]] EngineStats stats() const;
  /// NIC queues served, each by an engine thread. A connection belongs to the one on which it was
  /// opened.
  [[nodiscard]] std::uint32_t queue_count() const;
  [[nodiscard]] QueueStats queue_stats(std::uint32_t queue) const;

  /// What became of the device, in words: set once `device_lost` was or can be polled, and after
  /// that for good, also when stopped. Any thread.
  [[nodiscard]] std::optional<Error> device_failure() const;

  /// Stops taking connections, waits up to `drain_ms` for the splices to be released, resets the
  /// others, stops the device, releases every frame and detaches from the interface. Events can
  /// still be polled. Idempotent. Returns the closing balance; an imbalance is a bug and is
  /// asserted.
  ///
  /// If the device does not let go of its descriptors within 5 s, their frames are quarantined:
  /// counted in `frames_pinned`, never written nor used again, and kept, with the cache around
  /// them, until the process ends. Splices that wait for them are released with their error.
  EngineStats stop(std::uint32_t drain_ms);

 private:
  class Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace strictsend
