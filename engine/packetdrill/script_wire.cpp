// SPDX-License-Identifier: Apache-2.0
#include "engine/packetdrill/script_wire.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/inet_checksum.hpp"
#include "nic/gather.hpp"
#include "nic/segmentation.hpp"
#include "nic/wire/layout.hpp"

namespace strictsend::packetdrill {
namespace {

constexpr std::size_t ethernet_bytes = sizeof(wire::EthernetLayout);
constexpr nic::MacAddress script_mac{0x02, 0, 0, 0, 0, 0x02};
constexpr std::uint16_t ether_type_ipv4 = 0x0800;
constexpr std::uint16_t ether_type_ipv6 = 0x86dd;
constexpr std::uint8_t protocol_tcp = 6;

std::vector<std::byte> framed(std::span<const std::byte> ip_packet, const nic::MacAddress& port) {
  const bool ipv6 = !ip_packet.empty() && (std::to_integer<unsigned>(ip_packet[0]) >> 4) == 6;
  wire::EthernetLayout ethernet;
  ethernet.destination = port;
  ethernet.source = script_mac;
  ethernet.ether_type = ipv6 ? ether_type_ipv6 : ether_type_ipv4;
  std::vector<std::byte> frame(ethernet_bytes + ip_packet.size());
  std::memcpy(frame.data(), &ethernet, ethernet_bytes);
  std::ranges::copy(ip_packet, frame.begin() + ethernet_bytes);
  return frame;
}

struct Cut {
  nic::SegmentationRequest segmentation;
  nic::ChecksumRequest checksum;
};

/// How a device would be asked to cut this frame; the checksum field is made what it has to be for
/// that. None: it is no TCP over IPv4, or fits. (Only what fits is checked for its checksum.)
std::optional<Cut> cut_of(std::span<std::byte> frame, std::uint32_t mtu_bytes) {
  const std::span<std::byte> packet = frame.subspan(ethernet_bytes);
  if (packet.size() <= mtu_bytes || packet.size() < wire::ipv4_bytes_min) return std::nullopt;
  const auto ip = wire::load<wire::Ipv4Layout>(packet.data());
  const std::size_t ip_bytes = std::size_t{ip.version_ihl & 0x0fU} * 4;
  if (ip.version_ihl >> 4 != 4 || ip.protocol != protocol_tcp || ip_bytes < wire::ipv4_bytes_min)
    return std::nullopt;
  std::byte* const tcp_at = packet.data() + ip_bytes;
  auto tcp = wire::load<wire::TcpLayout>(tcp_at);
  const std::size_t headers = ip_bytes + std::size_t{tcp.data_offset_flags.get()} / 4096 * 4;
  if (headers >= mtu_bytes) return std::nullopt;
  // RFC 9293 §3.1, the pseudo-header, but for the length.
  tcp.checksum = fold_sum(inet_sum(std::as_bytes(std::span(ip.source))) +
                          inet_sum(std::as_bytes(std::span(ip.destination))) + protocol_tcp);
  std::memcpy(tcp_at, &tcp, sizeof tcp);
  return Cut{{.header_bytes = static_cast<std::uint16_t>(ethernet_bytes + headers),
              .payload_bytes = static_cast<std::uint16_t>(mtu_bytes - headers)},
             {.start_bytes = static_cast<std::uint16_t>(ethernet_bytes + ip_bytes),
              .offset_bytes = offsetof(wire::TcpLayout, checksum)}};
}

}  // namespace

void ScriptWire::transmitted(std::span<const nic::TxPacket> packets) {
  for (const nic::TxPacket& packet : packets) {
    std::vector<std::byte> frame(nic::length_of(packet.fragments));
    nic::gather(memory_, packet.fragments, frame);
    if (frame.size() <= ethernet_bytes) continue;
    packets_.push_back({now_, {frame.begin() + ethernet_bytes, frame.end()}});
  }
}

std::optional<SentPacket> ScriptWire::take() {
  if (packets_.empty()) return std::nullopt;
  SentPacket packet = std::move(packets_.front());
  packets_.pop_front();
  return packet;
}

std::vector<std::vector<std::byte>> ScriptWire::frames_of(std::span<const std::byte> ip_packet,
                                                          const nic::PortCapabilities& port) {
  std::vector<std::byte> frame = framed(ip_packet, port.mac);
  const std::optional<Cut> cut = cut_of(frame, port.mtu_bytes);
  if (!cut) return {std::move(frame)};
  std::vector<std::vector<std::byte>> frames;
  const nic::Segmentation pieces(cut->segmentation, static_cast<std::uint32_t>(frame.size()));
  for (std::uint32_t i = 0; i < pieces.count(); ++i) {
    frames.emplace_back(pieces.frame_bytes(i));
    nic::cut_piece(frame, cut->segmentation, cut->checksum, i, frames.back());
  }
  return frames;
}

}  // namespace strictsend::packetdrill
