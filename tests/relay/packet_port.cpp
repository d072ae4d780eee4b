// SPDX-License-Identifier: Apache-2.0
#include "tests/relay/packet_port.hpp"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/assert.hpp"

namespace strictsend::relay {
namespace {

constexpr std::size_t slot_bytes = 2048;
constexpr std::size_t slot_count = 16'384;
constexpr std::size_t ring_bytes = slot_bytes * slot_count;
constexpr std::size_t addresses_bytes = 12;  // of an Ethernet header, before the type or a tag
constexpr int send_buffer_bytes = 8 << 20;

template <class Value>
bool set(const UniqueFd& socket, int level, int option, const Value& value) {
  return ::setsockopt(socket.get(), level, option, &value, sizeof value) == 0;
}

}  // namespace

Result<PacketPort> PacketPort::open(const std::string& interface_name) {
  const unsigned index = ::if_nametoindex(interface_name.c_str());
  if (index == 0) return fail("look up " + interface_name, errno);
  // Protocol 0: nothing is queued before it is bound to the one interface.
  UniqueFd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return fail("a packet socket", errno, "run as root");
  tpacket_req ring{};
  ring.tp_frame_size = slot_bytes;
  ring.tp_frame_nr = slot_count;
  ring.tp_block_size = 1 << 16;
  ring.tp_block_nr = ring_bytes / ring.tp_block_size;
  const int on = 1;
  // Not what leaves the interface: the relay would take in what it has sent. And past the qdisc,
  // which would be a second queue.
  if (!set(socket, SOL_PACKET, PACKET_VERSION, int{TPACKET_V2}) ||
      !set(socket, SOL_PACKET, PACKET_IGNORE_OUTGOING, on) ||
      !set(socket, SOL_PACKET, PACKET_QDISC_BYPASS, on) ||
      !set(socket, SOL_SOCKET, SO_SNDBUFFORCE, send_buffer_bytes) ||
      !set(socket, SOL_PACKET, PACKET_RX_RING, ring)) {
    return fail("setting up a packet socket on " + interface_name, errno,
                "it takes root and Linux 4.20");
  }
  void* at = ::mmap(nullptr, ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, socket.get(), 0);
  if (at == MAP_FAILED) return fail("mapping the ring of " + interface_name, errno);
  PacketPort port(std::move(socket), static_cast<std::byte*>(at));
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(index);
  if (::bind(port.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return fail("binding to " + interface_name, errno);
  packet_mreq everything{};
  everything.mr_ifindex = address.sll_ifindex;
  everything.mr_type = PACKET_MR_PROMISC;
  if (!set(port.socket_, SOL_PACKET, PACKET_ADD_MEMBERSHIP, everything))
    return fail("receiving others' packets on " + interface_name, errno);
  return port;
}

PacketPort::PacketPort(PacketPort&& other) noexcept
    : socket_(std::move(other.socket_)),
      ring_(std::exchange(other.ring_, nullptr)),
      next_(other.next_),
      counters_(other.counters_) {}

PacketPort::~PacketPort() {
  if (ring_ != nullptr) ::munmap(ring_, ring_bytes);
}

std::optional<PacketPort::Received> PacketPort::receive(std::span<std::byte> room) {
  STRICTSEND_ASSERT(room.size() >= frame_bytes_max + tag_bytes);
  std::byte* slot = ring_ + next_ * slot_bytes;
  auto* header = reinterpret_cast<tpacket2_hdr*>(slot);
  // The kernel's store of the status releases the frame, and ours gives the slot back.
  const std::uint32_t status = __atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE);
  if ((status & TP_STATUS_USER) == 0) return std::nullopt;
  Received received{.realtime_ns = std::int64_t{header->tp_sec} * 1'000'000'000 + header->tp_nsec};
  if (header->tp_len <= std::min<std::size_t>(header->tp_snaplen, frame_bytes_max) &&
      header->tp_len >= ETH_HLEN && (status & TP_STATUS_CSUMNOTREADY) == 0) {
    const std::byte* frame = slot + header->tp_mac;
    std::byte* out = room.data();
    std::memcpy(out, frame, addresses_bytes);
    out += addresses_bytes;
    if ((status & TP_STATUS_VLAN_VALID) != 0) {
      // The kernel keeps the tag beside the frame; on the wire it is in it.
      const std::array<std::uint16_t, 2> tag = {
          htons((status & TP_STATUS_VLAN_TPID_VALID) != 0 ? header->tp_vlan_tpid : ETH_P_8021Q),
          htons(header->tp_vlan_tci)};
      std::memcpy(out, tag.data(), sizeof tag);
      out += sizeof tag;
    }
    std::memcpy(out, frame + addresses_bytes, header->tp_len - addresses_bytes);
    out += header->tp_len - addresses_bytes;
    received.bytes = static_cast<std::size_t>(out - room.data());
  } else {
    ++counters_.unfit;
  }
  __atomic_store_n(&header->tp_status, std::uint32_t{TP_STATUS_KERNEL}, __ATOMIC_RELEASE);
  next_ = (next_ + 1) % slot_count;
  return received;
}

void PacketPort::send(std::span<const std::span<const std::byte>> frames) {
  STRICTSEND_ASSERT(frames.size() <= burst_max);
  std::array<iovec, burst_max> pieces;
  std::array<mmsghdr, burst_max> messages{};
  for (std::size_t i = 0; i < frames.size(); ++i) {
    // sendmmsg(2) only reads what it points to.
    pieces[i] = {const_cast<std::byte*>(frames[i].data()), frames[i].size()};
    messages[i].msg_hdr.msg_iov = &pieces[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  std::size_t done = 0;
  while (done < frames.size()) {
    const int sent = ::sendmmsg(socket_.get(), &messages[done],
                                static_cast<unsigned>(frames.size() - done), MSG_DONTWAIT);
    if (sent > 0) {
      done += static_cast<std::size_t>(sent);
    } else if (errno != EINTR) {
      ++counters_.not_sent;
      ++done;
    }
  }
}

PacketPort::Counters PacketPort::counters() {
  tpacket_stats since{};
  socklen_t bytes = sizeof since;
  // Reading it sets it back to zero.
  if (::getsockopt(socket_.get(), SOL_PACKET, PACKET_STATISTICS, &since, &bytes) == 0)
    counters_.missed += since.tp_drops;
  return counters_;
}

}  // namespace strictsend::relay
