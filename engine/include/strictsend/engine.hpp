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

/// What to open an engine with. Copied by Engine::open, which refuses what cannot be (EINVAL), and
/// constant from then on.
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
  std::optional<Ipv6Address> address6;  ///< see address
  /// Of the networks those are in; only used where the engine owns the interface, elsewhere it is
  /// the kernel's to know.
  std::uint8_t prefix_bits = 24;
  std::uint8_t prefix6_bits = 64;  ///< see prefix_bits
  /// To all other networks, where the engine owns the interface; elsewhere they are refused.
  std::optional<Ipv4Address> gateway;
  std::optional<Ipv6Address> gateway6;  ///< see gateway
  /// The 802.1Q VLAN to be in, 1 to 4094: all frames carry its tag, and others are not ours. A
  /// kernel behind the port must not strip tags: ethtool -K IFACE rxvlan off.
  std::optional<std::uint16_t> vlan_id;
  std::uint32_t mtu_bytes = 0;       ///< to be set where the engine owns the interface; 0: as it is
  bool checksum_offload = true;      ///< have the port sum packets where it can; false: in software
  bool segmentation_offload = true;  ///< have the port cut packets where it can (and sums them)
  Congestion congestion = Congestion::cubic;  ///< of all connections
  bool ecn = true;  ///< agree on explicit congestion notification with clients that ask (RFC 3168)
  bool pacing = true;  ///< spread what an acknowledgement lets out over the round trip; bbr always
  TxForm tx_form = TxForm::automatic;      ///< of all packets with payload
  Protection protection = Protection::on;  ///< leave it on

  /// For files, spare frames included; taken as a whole when the engine is opened, and kept. At
  /// least 4 MiB. The buffers of the queues come on top.
  std::uint64_t cache_bytes = std::uint64_t{1} << 30;
  /// A file larger than this is not kept in memory as a whole: its pages are read when they are to
  /// be sent, and leave the memory again. It cannot be mapped. 0: all that the cache takes.
  std::uint64_t whole_file_bytes_max = 0;
  /// Frames of 4 KiB that no file takes, for the old bytes of pages that are written while a
  /// snapshot needs them; other free frames serve too. 0: 1/16 of the cache, at least 256.
  std::uint32_t spare_frames = 0;
  /// Longest wait of a writer for such a frame; then sends are failed (ENOBUFS).
  std::uint32_t writer_wait_limit_ms = 100;
  /// What writers may make the guard keep of old pages, for all snapshots together. Sends are
  /// failed from seven eighths of it on, first those that stand still (for writer_wait_limit_ms),
  /// then those that hold most for the longest time without progress, and at the limit writers wait
  /// for that; so a storm of writers leaves the files the rest of the cache. A page kept for
  /// several snapshots counts once. 0: the spare frames and half of the other ones.
  std::uint64_t preserved_bytes_max = 0;
  /// The same for the splices of one connection or datagram flow: beyond it all of them are failed
  /// that hold any, whoever else holds how much. A page counts for each snapshot that it is kept
  /// for. 0: half of preserved_bytes_max, and at least the spare frames.
  std::uint64_t preserved_bytes_per_connection_max = 0;
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
  std::uint32_t time_wait_ms =
      1'000;                   ///< of TIME-WAIT (RFC 9293 §3.3.2); the standard's is minutes
  std::uint32_t spin_us = 20;  ///< how long an engine thread polls without work before it sleeps

  std::string pcap_path;  ///< record every packet there; empty: no recording
};

/// A connection, by slot and generation: a stale id is recognised and answered with ENOTCONN.
struct ConnectionId {
  std::uint32_t slot = 0;        ///< another connection has it later
  std::uint32_t generation = 0;  ///< of the slot: which of the connections that it has had
  /// \return whether they are of the same connection
  bool operator==(const ConnectionId&) const = default;
};

/// What to send: header bytes, then the snapshot, then trailer bytes. Any of the three may be
/// empty.
struct Splice {
  ConnectionId connection;  ///< of an event `accepted`, not closed
  Snapshot snapshot;        ///< moved in once submitted; given up when the splice is released
  std::span<const std::byte>
      header;  ///< copied by submit; at most max_inline_bytes together with the trailer
  std::span<const std::byte> trailer;  ///< likewise
  bool notify_sent = false;            ///< ask for Event::sent too; Event::released always comes
  std::uint64_t user_data = 0;         ///< handed back in its events

  static constexpr std::size_t max_inline_bytes = 65536;  ///< more are EMSGSIZE
};

/// What became of a splice.
struct SpliceResult {
  /// 0: all of it was acknowledged (of datagrams: sent). Of a connection that ended before that:
  /// ECONNRESET (by the peer, or it went away politely), ETIMEDOUT (nothing, or too little, was
  /// acknowledged), ECONNABORTED (`abort`, `stop`), ECANCELED (`cancel`), ENOBUFS (given up for
  /// writers, see writer_wait_limit_ms and preserved_bytes_max), ESTALE (another process changed
  /// the file before all of it was in memory), the disk's errors, ENETDOWN (the device was lost),
  /// ENOTCONN or EPIPE (it had ended before the splice came to it). Of datagrams also EHOSTUNREACH
  /// (the next hop does not answer).
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

/// What happened, as Engine::poll hands it out: a value of the caller's.
struct Event {
  /// Which of the fields below count is said with each.
  enum class Kind : std::uint8_t {
    accepted,     ///< a new connection; `connection`, `peer_address` and `peer_port` are set
    readable,     ///< bytes wait in `receive`
    peer_closed,  ///< the peer has sent FIN: `receive` ends after what is buffered
    closed,  ///< the connection or datagram flow is gone; `result.error` says why; its id is stale
             ///< once this is polled. Only a splice that was submitted after the connection had
             ///< ended can still follow it, with its `released` (ENOTCONN)
    sent,    ///< the splice's last byte was handed to the NIC; `user_data` and `result` are set
    released,     ///< the splice's bytes are acknowledged (of datagrams: sent), or given up, and no
                  ///< descriptor refers to them: the last event of a splice, exactly one for each
                  ///< successful submit. `user_data` and `result` are set.
                  ///< (`stop` says what becomes of it if the device never lets go.)
    device_lost,  ///< a NIC queue was stopped because of its device, which was removed or answers
                  ///< no more: once for an engine, of no connection. `result.error` is ENODEV or
                  ///< ETIMEDOUT, Engine::device_failure has more. That queue's connections are
                  ///< reset (ENETDOWN), no new ones come to it, and it does not come back: call
                  ///< `stop`, and open another engine once the device is there again
  };
  Kind kind = Kind::accepted;    ///< what happened
  ConnectionId connection;       ///< that it is of, unless it is of a datagram flow:
  DatagramFlowId datagram_flow;  ///< whose generation is 0 if it is not
  std::uint64_t user_data = 0;   ///< of the splice, where it is of one
  SpliceResult result;           ///< of the splice; of other kinds `error` alone
  IpAddress peer_address;       ///< of events that are of a connection or flow rather than a splice
  std::uint16_t peer_port = 0;  ///< likewise
};

/// Counters since the engine was opened. Each is monotonic unless it is called a gauge; read
/// without locks, so that two of them may be of slightly different instants.
struct EngineStats {
  std::uint64_t connections_accepted = 0;  ///< whose handshake was completed
  std::uint64_t connections_refused = 0;   ///< over max_connections, or its queue's share of them
  std::uint64_t connections_open = 0;      ///< gauge
  std::uint64_t syn_cookies_sent = 0;      ///< while half of the connections waited for handshakes
  std::uint64_t syn_cookies_accepted = 0;  ///< connections that came of them
  std::uint64_t segments_sent = 0;         ///< on the wire: each of those that a port cuts counts
  std::uint64_t segments_retransmitted = 0;  ///< of segments_sent
  // Of connections that have ended:
  std::uint64_t payload_bytes_retransmitted = 0;  ///< headers and trailers of splices included
  std::uint64_t fast_recoveries = 0;              ///< losses that acknowledgements told of
  std::uint64_t retransmission_timeouts = 0;      ///< RFC 6298
  std::uint64_t tail_loss_probes = 0;             ///< RFC 8985 §7
  std::uint64_t reductions_undone = 0;            ///< that turned out to answer no loss
  std::uint64_t ecn_reductions = 0;               ///< for congestion that routers marked
  std::uint64_t mss_reductions = 0;               ///< for paths that carry less than was agreed on
  std::uint64_t segments_received = 0;            ///< the invalid ones included
  std::uint64_t segments_invalid = 0;             ///< bad checksum, malformed, not ours
  std::uint64_t segments_handed_over = 0;  ///< from queue to queue: they arrived on another one
                                           ///< than their connection's, or are of none
  std::uint64_t segments_hand_over_dropped = 0;  ///< of such, because the next queue's thread was
                                                 ///< behind; the peer sends them again
  std::uint64_t path_mtu_messages = 0;           ///< of routers: a segment of ours was too big
  std::uint64_t payload_bytes_sent = 0;          ///< of connections' streams, inline bytes and
                                         ///< retransmissions included; of datagrams of their slices
  std::uint64_t payload_bytes_copied =
      0;  ///< by the engine in order to send (linear form); preserving not counted
  std::uint64_t datagram_flows_open = 0;  ///< gauge
  std::uint64_t datagrams_sent = 0;       ///< whose snapshot bytes payload_bytes_… count too
  std::uint64_t datagrams_dropped = 0;    ///< by the NIC, which says that it did not send them
  std::uint64_t datagram_splices_unreachable = 0;  ///< given up: the next hop does not answer
  std::uint64_t datagrams_refused = 0;  ///< peers' "port unreachable", where the engine sees them
  std::uint64_t splices_submitted = 0;  ///< successful calls of submit
  std::uint64_t splices_released = 0;   ///< of those; all of them after `stop`
  std::uint64_t frozen_bytes = 0;       ///< gauge: of submitted snapshots, not yet acknowledged
                                        ///< (of datagrams: completed)
  // Where the engine owns the interface:
  std::uint64_t arp_requests_answered = 0;   ///< and IPv6's neighbour solicitations
  std::uint64_t echo_requests_answered = 0;  ///< pings
  std::uint64_t address_conflicts = 0;       ///< packets by which another host claims our address
  std::uint64_t neighbour_requests = 0;      ///< sent to find the gateways and silent peers
  std::uint64_t flows_readdressed = 0;  ///< connections whose next hop turned out to be elsewhere
  std::uint64_t frames_ignored = 0;     ///< other protocols, others' and broken frames
  std::uint64_t pages_preserved = 0;    ///< old bytes copied away, writer went on in place
  std::uint64_t pages_redirected = 0;   ///< frame under a descriptor: writer moved to a copy
  std::uint64_t pages_came_home = 0;    ///< of the redirected: back in their own frame
  std::uint64_t write_faults = 0;       ///< stores through mappings that the guard answered
  std::uint64_t writer_waits = 0;       ///< for a spare frame, or for preserved_bytes_max
  std::uint64_t writer_stall_ns_max =
      0;  ///< gauge: the longest time from reading a fault to answering it
  // Splices that were given up, by reason; sends_failed_for_disk is below.
  std::uint64_t sends_failed_for_writers = 0;           ///< one had waited for writer_wait_limit_ms
  std::uint64_t sends_failed_for_total_limit = 0;       ///< preserved_bytes_max
  std::uint64_t sends_failed_for_connection_limit = 0;  ///< preserved_bytes_per_connection_max
  std::uint64_t sends_failed_for_slowness = 0;          ///< min_progress_bytes
  std::uint64_t frames_total = 0;                       ///< gauges, in frames of 4 KiB:
  std::uint64_t frames_free = 0;                        ///< spare ones included
  std::uint64_t frames_cached = 0;                      ///< holding current pages of files
  std::uint64_t frames_history = 0;  ///< holding old pages for snapshots (preserved_bytes_max)
  std::uint64_t frames_port = 0;     ///< headers and receive buffers
  std::uint64_t frames_pinned = 0;   ///< under descriptors (counted when asked: not for hot paths)
  std::uint64_t snapshots_live = 0;  ///< of splices, of a running sync, and held by the application
  std::uint64_t audit_failures = 0;  ///< pages that changed under a snapshot
  // Of pages that come and go one by one, rather than with their file:
  std::uint64_t pages_loaded = 0;           ///< read from the disk
  std::uint64_t pages_evicted = 0;          ///< that left the memory again
  std::uint64_t sends_failed_for_disk = 0;  ///< their pages could not be read any more
};

/// The same of one NIC queue and its engine thread. Those that begin with nic_ are of the queue
/// itself, up to date when its thread has nothing to do and else some 100 ms old.
struct QueueStats {
  std::uint64_t connections_accepted = 0;        ///< whose handshake was completed here
  std::uint64_t connections_refused = 0;         ///< over its share of max_connections
  std::uint64_t connections_open = 0;            ///< gauge
  std::uint64_t segments_sent = 0;               ///< on the wire
  std::uint64_t segments_retransmitted = 0;      ///< of segments_sent
  std::uint64_t segments_received = 0;           ///< from this queue, whosever they were
  std::uint64_t segments_invalid = 0;            ///< bad checksum, malformed, not ours
  std::uint64_t segments_handed_over = 0;        ///< to the next queue, those handed on included
  std::uint64_t segments_hand_over_dropped = 0;  ///< because the next one was too far behind
  std::uint64_t path_mtu_messages = 0;           ///< of routers
  std::uint64_t payload_bytes_sent = 0;          ///< likewise
  std::uint64_t payload_bytes_copied = 0;        ///< of those, in the linear form
  std::uint64_t device_faults = 0;         ///< the queue was stopped because it completed nothing
  std::uint64_t nic_packets_sent = 0;      ///< given to the device
  std::uint64_t nic_bytes_sent = 0;        ///< of those, from the Ethernet header on
  std::uint64_t nic_completions = 0;       ///< packets whose memory the device gave back
  std::uint64_t nic_packets_dropped = 0;   ///< completed without having been sent
  std::uint64_t nic_kicks = 0;             ///< system calls made to start transmission
  std::uint64_t nic_packets_received = 0;  ///< taken from the device
  std::uint64_t nic_bytes_received = 0;    ///< of those, from the Ethernet header on
  std::uint64_t nic_receive_drops = 0;     ///< no buffer, ring full, malformed
  std::uint64_t nic_faults = 0;            ///< descriptors refused, completions of none outstanding
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
/// Made by `open`; owned by the application, which destroys it after all snapshots.
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
  /// Sets everything up: the arena, the guard, the port (AF_XDP: the kernel's
  /// Documentation/networking/af_xdp.rst). Waits for the kernel, on some drivers for the link.
  /// \param config copied
  /// \return the engine, whose threads run; or what is missing, and how to get it
  static Result<std::unique_ptr<Engine>> open(const EngineConfig& config);
  /// Takes off the interface of `nic` what an engine has left there that was killed, or that at its
  /// end had not the rights any more to which it was opened (CAP_NET_ADMIN, and CAP_SYS_ADMIN for
  /// libxdp): the XDP program, which then passes every packet to the kernel.
  /// \param nic as EngineConfig::nic
  /// \return whether there was any; false too while a running engine has the interface, and of
  /// ports that leave nothing
  static Result<bool> clear_interface(const std::string& nic);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine();  ///< stops; splices not yet released are reset, and changed files written back

  /// \return for people: port, packet form and why
  [[nodiscard]] std::string description() const;
  /// \return on which it answers: one or two, IPv4's first
  [[nodiscard]] std::vector<IpAddress> addresses() const;
  /// \return what it stands on
  [[nodiscard]] PortFacts port() const;
  /// \return all that the engine takes, fixed from here on
  [[nodiscard]] std::uint64_t memory_bytes() const;

  /// Takes TCP connections (RFC 9293) to all addresses() from now on, until `stop`. May be called
  /// for several ports.
  /// \param port 1 to 65535
  /// \return EINVAL, ESHUTDOWN, or why the port of the NIC cannot steer it here
  Result<void> listen(std::uint16_t port);

  /// Becomes readable when events wait; cleared by `poll`. An eventfd(2) of the engine's: for
  /// poll(2) and epoll(7), not to be read or closed.
  /// \return the descriptor, as long as the engine is there
  [[nodiscard]] int event_fd() const;
  /// Takes events, in order for each connection. Call it until it returns 0 before sleeping on
  /// `event_fd`: what did not fit waits without making that readable again. One thread at a time;
  /// does not wait.
  /// \param events filled from the front
  /// \return how many were
  std::size_t poll(std::span<Event> events);

  /// Copies received bytes out and reopens the window. Does not wait.
  /// \param connection of an event `accepted`
  /// \param into as many as fit
  /// \return the bytes copied; 0 when none wait; ENOTCONN: the connection is gone
  Result<std::size_t> receive(ConnectionId connection, std::span<std::byte> into);
  /// Sends FIN after everything submitted. Nothing can be submitted any more (EPIPE); what the peer
  /// sends still comes. `closed` follows when both sides are done.
  /// \param connection of an event `accepted`
  /// \return ENOTCONN: it is gone
  Result<void> close(ConnectionId connection);
  /// Resets at once; `released` of its splices and `closed` follow, with ECONNABORTED.
  /// \param connection of an event `accepted`
  /// \return ENOTCONN: it is gone
  Result<void> abort(ConnectionId connection);

  /// A flow of datagrams to a peer. Which neighbour they go to is found out meanwhile: where a
  /// kernel stands behind the port by asking it, now and every second, else by ARP or neighbour
  /// discovery. The kernel's tables are those of the network namespace in which the engine was
  /// opened. What is submitted waits for that, and fails with EHOSTUNREACH when nobody answers
  /// for some seconds.
  /// \param config copied
  /// \return the flow. EINVAL, EAFNOSUPPORT, EMSGSIZE: not with this configuration. ENETUNREACH:
  /// there is no way to that address. EADDRINUSE: another flow here has these ports and this peer.
  /// ENOBUFS: all max_datagram_flows are open. ESHUTDOWN
  Result<DatagramFlowId> open_datagram_flow(const DatagramFlowConfig& config);
  /// Ends it after everything submitted has been sent. Then comes `closed`.
  /// \param flow of open_datagram_flow
  /// \return ENOTCONN: it is gone
  Result<void> close(DatagramFlowId flow);
  /// Ends it, and sends no more. Then comes `closed`.
  /// \param flow of open_datagram_flow
  /// \return ENOTCONN: it is gone
  Result<void> abort(DatagramFlowId flow);

  /// Loads the file (waits for the disk), unless it is larger than whole_file_bytes_max. Opening it
  /// again gives the same pages.
  /// \param path of a regular file
  /// \param flags of open(2): O_RDONLY, or O_RDWR to let File::sync write to the disk
  /// \return a handle. ENOBUFS: files in use fill the cache. EAGAIN: another process kept changing
  /// it. EISDIR, EINVAL: no regular file. Or open(2)'s errors, and the disk's
  Result<File> open_file(const std::string& path, int flags);
  /// The same, of a file that is open.
  /// \param fd open for reading; the caller keeps it
  /// \return as above; EBADF
  Result<File> open_file(int fd);

  /// Freezes [offset, offset + length) of the file as it is now. If the backing file was changed by
  /// another process, loads the new version first (waits for the disk). Else the cost is that of
  /// protecting those pages that were written since they were last frozen.
  /// \param file becomes a handle of the new version then; copies of it do when they are frozen
  /// \param offset in the file
  /// \param length_bytes cut at the end of the file, so that the largest number is all of it
  /// \return ENOBUFS: too many snapshots are live (max_splices, and 64 more). ESTALE: another
  /// process changed the file on the disk, and here it is mapped or has changes that were never
  /// synced. EFAULT or the like: the application changed the mapping's addresses. ESHUTDOWN; errors
  /// of open_file, where a new version is loaded
  Result<Snapshot> freeze(File& file, std::uint64_t offset, std::uint64_t length_bytes);

  /// Queues it on its connection: splices of one go out in the order of their submission. Does not
  /// wait.
  /// \param splice its snapshot is taken; on any error the splice is as it was
  /// \return the splice's id, for `cancel`. EAGAIN: too many splices or inline bytes, poll first.
  /// ENOTCONN: the connection is gone. EPIPE: it was closed here. EINVAL: nothing to send.
  /// EMSGSIZE: over max_inline_bytes. ESHUTDOWN
  Result<std::uint64_t> submit(Splice&& splice);
  /// The same for datagrams, one splice of a flow behind the other.
  /// \param splice its snapshot is taken; on any error the splice is as it was
  /// \return as above; EINVAL also: the numbers lie outside of the header or over each other;
  /// EMSGSIZE: a datagram with this header would not fit the port's MTU, or the header is over
  /// max_header_bytes
  Result<std::uint64_t> submit(DatagramSplice&& splice);
  /// Takes back a splice. One of which nothing was sent yet leaves the stream as if it had not been
  /// submitted; otherwise the connection is reset. Of datagrams, what was not sent yet is not.
  /// Either way its `released` comes, with ECANCELED, unless all of it had been sent.
  /// \param splice_id of submit
  /// \return ENOENT: it has been released, and that was polled
  Result<void> cancel(std::uint64_t splice_id);

  /// Any thread, at any time.
  /// \return the counters as they are, summed over the queues
  [[nodiscard]] EngineStats stats() const;
  /// NIC queues served, each by an engine thread. A connection belongs to the one on which it was
  /// opened.
  /// \return at least 1; constant
  [[nodiscard]] std::uint32_t queue_count() const;
  /// Any thread, at any time.
  /// \param queue below queue_count() (asserted)
  /// \return the counters as they are
  [[nodiscard]] QueueStats queue_stats(std::uint32_t queue) const;

  /// What became of the device, in words: set once `device_lost` was or can be polled, and after
  /// that for good, also when stopped. Any thread.
  /// \return why it was lost, and what to do; nothing: it is there
  [[nodiscard]] std::optional<Error> device_failure() const;

  /// Stops taking connections, waits up to `drain_ms` for the splices to be released, resets the
  /// others, stops the device, releases every frame and detaches from the interface. Events can
  /// still be polled, and files written and synced. Waits for snapshots that the application holds,
  /// 10 s at most: drop them before. Idempotent; any thread but the engine's.
  ///
  /// If the device does not let go of its descriptors within 5 s, their frames are quarantined:
  /// counted in `frames_pinned`, never written nor used again, and kept, with the cache around
  /// them, until the process ends. Splices that wait for them are released with their error.
  /// \param drain_ms 0: at once
  /// \return the closing balance; an imbalance is a bug and is asserted. Snapshots that are left in
  /// it are the application's own
  EngineStats stop(std::uint32_t drain_ms);

 private:
  class Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace strictsend
