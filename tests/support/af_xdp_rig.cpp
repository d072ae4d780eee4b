// SPDX-License-Identifier: Apache-2.0
#include "tests/support/af_xdp_rig.hpp"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <poll.h>

#include "base/assert.hpp"
#include "base/inet_checksum.hpp"

namespace strictsend::test {
namespace {

constexpr int silence_ms = 10'000;
constexpr std::uint32_t header_slot_bytes = 2048;
constexpr std::uint32_t header_slots = 64 * page_bytes / header_slot_bytes;

std::vector<std::byte> receive_one(int fd) {
  pollfd entry{fd, POLLIN, 0};
  if (::poll(&entry, 1, silence_ms) <= 0) return {};
  std::array<std::byte, 65536> buffer;
  const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
  if (got < 0) return {};
  return {buffer.begin(), buffer.begin() + got};
}

}  // namespace

Result<std::unique_ptr<AfXdpRig>> AfXdpRig::make(Options options) {
  Result<NetNamespacePair> pair = NetNamespacePair::create(options.net);
  if (!pair) return tl::unexpected(pair.error());
  std::unique_ptr<AfXdpRig> rig(new AfXdpRig(std::move(*pair)));
  for (std::size_t i = 0; i < rig->dma.all().size(); ++i)
    rig->dma.all()[i] = static_cast<std::byte>(i * 31 + (i >> page_shift) * 7);

  rig->config = std::move(options.port);
  rig->config.interface_name = rig->net.near().interface_name;
  auto port = nic::af_xdp::open_port(rig->config, rig->dma.memory());
  if (!port) return tl::unexpected(port.error());
  rig->port = std::move(*port);
  const NetNamespacePair::End& near = rig->net.near();
  const NetNamespacePair::End& peer = rig->net.peer();
  rig->headers =
      wire::UdpHeaderTemplate({near.mac, peer.mac, near.ipv4, peer.ipv4, near_port, peer_port});
  if (auto done = rig->open_peer_sockets(); !done) return tl::unexpected(done.error());
  return rig;
}

Result<void> AfXdpRig::open_peer_sockets() {
  Result<void> result;
  net.in_namespace([&] {
    udp = UniqueFd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const int receive_bytes = 64 << 20;
    ::setsockopt(udp.get(), SOL_SOCKET, SO_RCVBUFFORCE, &receive_bytes, sizeof receive_bytes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(peer_port);
    std::memcpy(&address.sin_addr, net.peer().ipv4.data(), 4);
    if (::bind(udp.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      result = fail("binding the far end's UDP socket", errno);

    capture = UniqueFd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    ::setsockopt(capture.get(), SOL_SOCKET, SO_RCVBUFFORCE, &receive_bytes, sizeof receive_bytes);
    sockaddr_ll link{};
    link.sll_family = AF_PACKET;
    link.sll_protocol = htons(ETH_P_ALL);
    link.sll_ifindex = static_cast<int>(net.peer().interface_index);
    if (::bind(capture.get(), reinterpret_cast<const sockaddr*>(&link), sizeof link) != 0)
      result = fail("binding the far end's packet socket", errno);
  });
  return result;
}

std::vector<std::byte> AfXdpRig::bytes_of(std::span<const nic::Fragment> fragments) {
  std::vector<std::byte> bytes;
  for (const nic::Fragment& fragment : fragments) {
    const std::span<std::byte> piece = dma.at(fragment);
    bytes.insert(bytes.end(), piece.begin(), piece.end());
  }
  return bytes;
}

bool AfXdpRig::send(std::span<const nic::Fragment> fragments, std::uint32_t cookie,
                    Checksum checksum, bool linear, std::size_t queue_index) {
  const std::vector<std::byte> payload_bytes = bytes_of(fragments);
  const std::uint64_t slot = offset_of(dma.first_free()).value +
                             std::uint64_t{cookie % header_slots} * header_slot_bytes + 64;
  const std::span<std::byte> into = dma.all().subspan(slot, header_slot_bytes - 64);
  const auto length = static_cast<std::uint32_t>(payload_bytes.size());

  std::vector<nic::Fragment> pieces;
  nic::TxPacket packet;
  packet.cookie = cookie;
  std::uint32_t header_bytes = 0;
  if (checksum == Checksum::offload) {
    const wire::OffloadedHeader header = headers.emit_for_offload(into, length);
    header_bytes = header.header_bytes;
    packet.checksum = header.checksum;
  } else {
    header_bytes = headers.emit(into, length, inet_sum(payload_bytes));
  }
  pieces.push_back({ArenaOffset{slot}, header_bytes});
  if (linear) {
    STRICTSEND_ASSERT(header_bytes + length <= into.size());
    std::ranges::copy(payload_bytes, into.begin() + header_bytes);
    pieces.front().length_bytes += length;
  } else {
    pieces.insert(pieces.end(), fragments.begin(), fragments.end());
  }
  packet.fragments = pieces;
  const bool taken = queue(queue_index).transmit({&packet, 1}) == 1;
  outstanding += taken ? 1 : 0;
  return taken;
}

void AfXdpRig::complete_all(std::size_t queue_index) {
  const Time deadline = monotonic_now() + seconds(30);
  while (outstanding > 0 && (deadline - monotonic_now()).ns > 0) {
    if (queue(queue_index).kick() != 0) return;
    std::array<nic::TxCompletion, 64> batch;
    const std::size_t got = queue(queue_index).reap(batch);
    for (std::size_t i = 0; i < got; ++i)
      completed[batch[i].cookie].push_back(batch[i].status);
    outstanding -= got;
  }
}

std::vector<std::byte> AfXdpRig::next_datagram() const {
  return receive_one(udp.get());
}

std::vector<std::byte> AfXdpRig::next_frame(
    const std::function<bool(std::span<const std::byte>)>& wanted) const {
  while (true) {
    std::vector<std::byte> frame = receive_one(capture.get());
    if (frame.empty() || wanted(frame)) return frame;
  }
}

void AfXdpRig::inject(std::span<const std::byte> frame) const {
  STRICTSEND_ASSERT(::send(capture.get(), frame.data(), frame.size(), 0) ==
                    static_cast<ssize_t>(frame.size()));
}

std::vector<std::byte> AfXdpRig::next_received(std::size_t queue_index) const {
  nic::Queue& from = queue(queue_index);
  while (true) {
    std::array<nic::RxPacket, 1> packet;
    if (from.receive(packet) == 1) {
      std::vector<std::byte> bytes(packet[0].bytes.begin(), packet[0].bytes.end());
      from.release_received();
      return bytes;
    }
    from.release_received();
    if (!from.arm_wait()) continue;
    pollfd entry{from.wait_fd(), POLLIN, 0};
    if (::poll(&entry, 1, silence_ms) <= 0) return {};
  }
}

}  // namespace strictsend::test
