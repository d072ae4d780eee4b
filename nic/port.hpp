// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/page.hpp"
#include "base/result.hpp"
#include <strictsend/address.hpp>

namespace strictsend::nic {

using MacAddress = std::array<std::uint8_t, 6>;

/// What may stand before the IP packet, which the MTU is of: an Ethernet header with an 802.1Q tag.
inline constexpr std::uint32_t link_header_bytes_max = 14 + 4;

/// The memory that a port sends from and receives into: the arena's DMA view. The engine makes it
/// and outlives the port; a port registers it once (AF_XDP UMEM, DPDK external memory) when it is
/// opened.
///
///     [ frame 0 | port region: header buffers, receive buffers … | cache frames … ]
///               ^ port_region_begin                    ^ port_region_end
///
/// A port may write only inside the port region's receive part, and into the header piece of a
/// packet that it has taken and not yet handed to the device (metadata in its headroom, a checksum
/// field).
struct DmaMemory {
  std::byte* base = nullptr;     ///< page aligned, readable and writable
  std::uint64_t size_bytes = 0;  ///< whole pages
  int fd = -1;                   ///< the memfd behind it; borrowed
  FrameIndex receive_begin;      ///< frames the port may receive into: [receive_begin, receive_end)
  FrameIndex receive_end;
};

/// One piece of a packet: bytes of the DMA memory, never crossing a page unless the port says that
/// it may.
struct Fragment {
  ArenaOffset offset;
  std::uint32_t length_bytes = 0;
};

/// Where the device is to write the TCP/UDP checksum, when it offers to. The header's checksum
/// field then already holds the folded, *uncomplemented* pseudo-header sum (the kernel's
/// CHECKSUM_PARTIAL convention, struct xsk_tx_metadata, struct virtio_net_hdr).
struct ChecksumRequest {
  std::uint16_t start_bytes = 0;   ///< first byte to be summed, from the start of the frame
  std::uint16_t offset_bytes = 0;  ///< of the checksum field, from start_bytes
};

/// A packet that the device is to cut into several: TCP segmentation offload. The fragments hold
/// the headers once and then the payload of all of them. The device repeats the headers, advances
/// the sequence number, sets lengths, and leaves FIN and PSH to the last one. Always goes with a
/// ChecksumRequest, and the pseudo-header sum in the checksum field then leaves out the length, and
/// the IPv4 header checksum is 0 (DPDK's convention, RTE_MBUF_F_TX_TCP_SEG in rte_mbuf_core.h).
/// nic/segmentation.hpp is this in software.
struct SegmentationRequest {
  /// Smaller packets are not asked for: drivers refuse them, or take the queue down as malicious.
  static constexpr std::uint16_t payload_bytes_min = 512;
  std::uint16_t header_bytes = 0;   ///< Ethernet to TCP's options; all of it in the first fragment
  std::uint16_t payload_bytes = 0;  ///< of each packet on the wire but the last; there are several
};

/// What an engine hands to a port: one packet as fragments in order, headers first. The descriptor
/// set refers to the fragments' memory until the packet's completion is reaped; the engine keeps a
/// pin on every frame meanwhile.
struct TxPacket {
  std::span<const Fragment> fragments;
  std::optional<ChecksumRequest> checksum;
  std::uint32_t cookie =
      0;  ///< returned by the completion; unique among the packets outstanding on this queue
  std::optional<SegmentationRequest> segmentation;
};

/// What came of a descriptor. `sent` is "the device says it is done with the memory"; it proves no
/// delivery.
enum class TxStatus : std::uint8_t {
  sent,
  dropped,  ///< the device consumed it without sending (tx_invalid_descs, a full ring behind it)
};
struct TxCompletion {
  std::uint32_t cookie = 0;
  TxStatus status = TxStatus::sent;
};

/// State of the checksums of a received packet, as far as the port knows.
enum class RxChecksum : std::uint8_t {
  unknown,  ///< verify in software
  good,     ///< the device has verified it
  partial,  ///< the peer is on this machine and may have left it unfinished (veth, tap, virtio):
            ///< accept a field that holds the folded pseudo-header sum too
};

/// A received packet: a view of the port's receive memory, valid until the next call of
/// `release_received`.
struct RxPacket {
  std::span<const std::byte> bytes;  ///< from the Ethernet header on
  RxChecksum checksum = RxChecksum::unknown;
};

/// What a port can do. Probed when it is opened, constant afterwards (but for the link), and the
/// only thing by which the engine tells one backend from another.
struct PortCapabilities {
  std::string description;  ///< for people: "af_xdp:eth0 (veth, copy mode, fragments)"
  std::string driver;       ///< "veth", "net_virtio"; empty where none is told
  MacAddress mac{};
  std::uint32_t mtu_bytes = 1500;   ///< of the IP packet
  std::uint32_t max_fragments = 1;  ///< per packet, the header's included; 1 = linear packets only
  std::uint32_t max_fragment_bytes = 0;  ///< of one fragment
  bool fragment_crosses_page =
      false;  ///< a fragment may cross a page boundary (where the arena is contiguous)
  std::uint32_t max_receive_bytes =
      0xffffffff;  ///< of a frame; larger ones are dropped: announce an MSS that fits
  bool checksum_offload = false;  ///< honours TxPacket::checksum
  std::uint32_t segmented_bytes_max =
      0;  ///< longest IP packet with TxPacket::segmentation, at most 65535; 0: not offered (and
          ///< never without checksum_offload)
  std::uint32_t segmented_fragments_max = 0;  ///< of such a packet, the headers' included
  bool copies_payload = false;   ///< the driver or kernel behind copies each packet before the wire
  bool late_completion = false;  ///< completions may not come while nothing more is sent
  std::uint32_t header_headroom_bytes =
      0;  ///< bytes before the first fragment that the port overwrites (metadata)
  bool owns_interface = false;  ///< no kernel behind it sees what is received: ARP and ping are the
                                ///< engine's to answer, and every packet for it comes to a queue
  bool queues_stop_together = false;  ///< the device stops when every queue was told to: when it
                                      ///< fails under one, the others are to be stopped too
  std::uint64_t memory_bytes = 0;     ///< taken by the port besides the DMA memory
};

/// Counters of one queue. One writer: the queue's engine thread.
struct QueueCounters {
  std::uint64_t tx_packets = 0;
  std::uint64_t tx_bytes = 0;
  std::uint64_t tx_completions = 0;
  std::uint64_t tx_dropped = 0;  ///< completed without having been sent
  std::uint64_t tx_kicks = 0;    ///< system calls made to start transmission
  std::uint64_t rx_packets = 0;
  std::uint64_t rx_bytes = 0;
  std::uint64_t rx_dropped = 0;  ///< by the device or kernel: no buffer, ring full, malformed
  std::uint64_t tx_invalid_descriptors = 0;  ///< refused by the device although checked: a fault
  std::uint64_t unexpected_completions =
      0;  ///< completions of descriptors not outstanding: a device fault
};

/// One transmit/receive queue pair. Every call is made by its one engine thread (`stop` too, which
/// alone may wait, for seconds); none allocates or throws. Each call takes a burst, so that the
/// virtual call is paid once per burst.
class Queue {
 public:
  Queue() = default;
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;
  virtual ~Queue() = default;

  /// Takes packets in order as far as there is room, and returns how many; the rest stay with the
  /// caller. A taken packet is completed exactly once, by `reap` or by `stop`. A packet that the
  /// port can never send (too many fragments, outside the memory) is a programmer's error and
  /// asserted.
  virtual std::size_t transmit(std::span<const TxPacket> packets) = 0;

  /// Makes the device see what was taken: the ring kick, and the only system call on this path
  /// (but for a driver that is software, and makes some wherever it is called).
  /// Also renews the receive ring. Returns a plain errno: 0, or what the device failed with
  /// (ENETDOWN …); being busy is 0. ENODEV: the device is gone for good, and is to be stopped.
  virtual int kick() = 0;

  /// Whether the device is still there, for a queue that has nothing to send: a plain errno as from
  /// `kick`. May make a system call; asked some times a second.
  virtual int health() { return 0; }

  /// Completions are overdue, and somebody needs the memory: what the port can do to have them,
  /// short of `stop`, it sets off now, such as a reset of the device. Where it cannot do anything,
  /// nothing.
  virtual void hurry() {}

  /// Fills `completions` with packets that the device is done with, oldest first as far as it keeps
  /// order.
  virtual std::size_t reap(std::span<TxCompletion> completions) = 0;

  /// Fills `packets` with received ones; their bytes stay valid until `release_received`.
  virtual std::size_t receive(std::span<RxPacket> packets) = 0;
  virtual void release_received() = 0;

  /// File descriptor to poll for input when the engine thread has nothing to do; -1: there is none,
  /// keep polling.
  [[nodiscard]] virtual int wait_fd() const = 0;
  /// Called before sleeping on wait_fd; false: something is pending, do not sleep.
  virtual bool arm_wait() = 0;

  /// When the next thing happens here by itself, in virtual time; Time::never() for real devices.
  [[nodiscard]] virtual Time next_event() const { return Time::never(); }

  /// Stops the device, so that afterwards no descriptor refers to any memory, and reports every
  /// packet still outstanding as `dropped` through further calls of `reap`. Idempotent. After it
  /// only `reap` and `counters` may be called.
  virtual void stop() = 0;

  [[nodiscard]] virtual const QueueCounters& counters() const = 0;
};

/// What a backend's filter steers to the engine; everything else stays with the kernel where there
/// is one.
struct FlowFilter {
  IpAddress address;                     ///< destination address
  std::uint16_t tcp_port = 0;            ///< destination port, host order
  std::optional<std::uint16_t> vlan_id;  ///< of the frame's 802.1Q tag; nullopt: it has none
  bool operator==(const FlowFilter&) const = default;
};

/// A peer that somebody wants to send to without having heard from it.
struct RouteQuery {
  IpAddress source;
  IpAddress peer;
  std::optional<std::uint16_t> vlan_id;  ///< that the frames are to carry
  bool operator==(const RouteQuery&) const = default;
};
/// Where frames for it go.
struct NextHop {
  enum class State : std::uint8_t {
    asking,       ///< the neighbour has been asked for its MAC
    found,        ///< `mac` is the neighbour's
    unreachable,  ///< it does not answer
  };
  State state = State::asking;
  MacAddress mac{};
  bool operator==(const NextHop&) const = default;
};

/// A counter for people and monitors.
struct Statistic {
  std::string name;
  std::uint64_t value = 0;
};

/// A network port: owns its queues and whatever it attached to the interface (an XDP program, a
/// device), and undoes that when destroyed. Opened by a backend's named factory, by the thread that
/// sets the engine up.
class Port {
 public:
  Port() = default;
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;
  virtual ~Port() = default;

  [[nodiscard]] virtual const PortCapabilities& capabilities() const = 0;
  [[nodiscard]] virtual std::size_t queue_count() const = 0;
  [[nodiscard]] virtual Queue& queue(std::size_t index) = 0;
  [[nodiscard]] virtual bool link_up() const = 0;

  /// Steers one more flow to the queues (from then on the kernel does not see it), and the "packet
  /// too big" messages of routers about it. Set-up thread.
  virtual Result<void> accept_flows(const FlowFilter& filter) = 0;

  /// Where the kernel behind the port would send frames for a peer, by its tables as they are; it
  /// is set off to find out what it does not know or has not confirmed for a while. Fails when it
  /// has no route for the peer over this interface. Where no kernel stands behind, it is the
  /// engine's to find out. Waits for the kernel alone. Any thread of the network namespace in which
  /// the port was opened: it is the calling thread's kernel tables that are asked.
  [[nodiscard]] virtual Result<NextHop> next_hop(const RouteQuery& query) {
    static_cast<void>(query);
    return fail("next hop", ENOTSUP, "no kernel stands behind this port");
  }

  /// The device's own counters, under the device's names. May ask the device: not for hot paths.
  /// Any thread.
  [[nodiscard]] virtual std::vector<Statistic> device_statistics() const { return {}; }

  /// Why the device is gone for good (`Queue::kick` says ENODEV), for people; empty: it is not, or
  /// nobody knows. Any thread.
  [[nodiscard]] virtual std::string failure() const { return {}; }

  /// Where the backend has a monitoring channel of its own (DPDK telemetry), it shows these there
  /// too, calling `source` on a thread of its own until the port ends. Set-up thread.
  virtual void show_statistics(const std::function<std::vector<Statistic>()>& source) {
    static_cast<void>(source);
  }
};

}  // namespace strictsend::nic
