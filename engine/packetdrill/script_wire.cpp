// SPDX-License-Identifier: Apache-2.0
#include "engine/packetdrill/script_wire.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "nic/gather.hpp"
#include "nic/segmentation.hpp"
#include "nic/wire/ip_packet.hpp"

namespace strictsend::packetdrill {
namespace {

using wire::ethernet_bytes;

constexpr nic::MacAddress script_mac{0x02, 0, 0, 0, 0, 0x02};

std::vector<std::byte> framed(std::span<const std::byte> ip_packet, const nic::MacAddress& port) {
  const bool ipv6 = !ip_packet.empty() && (std::to_integer<unsigned>(ip_packet[0]) >> 4) == 6;
  wire::EthernetLayout ethernet;
  ethernet.destination = port;
  ethernet.source = script_mac;
  ethernet.ether_type = ipv6 ? wire::ether_type_ipv6 : wire::ether_type_ipv4;
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
/// that. None: it is no TCP directly behind an IP header, or fits. (Only what fits is checked for
/// its checksum.)
std::optional<Cut> cut_of(std::span<std::byte> frame, std::uint32_t mtu_bytes) {
  if (frame.size() <= ethernet_bytes + mtu_bytes) return std::nullopt;
  const wire::Parsed<wire::IpPacketView> ip = wire::parse_ip_packet(frame);
  if (!ip || ip->protocol != wire::protocol_tcp || ip->payload.size() < wire::tcp_bytes_min)
    return std::nullopt;
  const auto tcp_begin = static_cast<std::size_t>(ip->payload.data() - frame.data());
  const std::size_t ip_bytes = tcp_begin - ethernet_bytes;
  if (ip->source.is_v6() && ip_bytes != wire::ipv6_bytes) return std::nullopt;
  std::byte* const tcp_at = frame.data() + tcp_begin;
  auto tcp = wire::load<wire::TcpLayout>(tcp_at);
  const std::size_t headers = ip_bytes + std::size_t{tcp.data_offset_flags.get()} / 4096 * 4;
  if (headers >= mtu_bytes) return std::nullopt;
  // But for the length, which differs from piece to piece.
  tcp.checksum = fold_sum(
      wire::pseudo_header_sum(ip->source, ip->destination, wire::protocol_tcp, /*length_bytes=*/0));
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
