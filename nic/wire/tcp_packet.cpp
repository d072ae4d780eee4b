// SPDX-License-Identifier: Apache-2.0
#include "nic/wire/tcp_packet.hpp"

#include <algorithm>

namespace strictsend::wire {

namespace {

/// Whole blocks. A TCP header has no room for more than four.
SackBlocks load_sack_blocks(std::span<const std::byte> bytes) {
  SackBlocks sack;
  while (!bytes.empty() && sack.count < SackBlocks::count_max) {
    sack.blocks[sack.count++] = {.begin = load<be32>(bytes.data()).get(),
                                 .end = load<be32>(bytes.data() + 4).get()};
    bytes = bytes.subspan(sizeof(SackBlock));
  }
  return sack;
}

}  // namespace

std::optional<TcpOptions> parse_tcp_options(std::span<const std::byte> bytes, bool syn) {
  TcpOptions options;
  while (!bytes.empty()) {
    const auto kind = std::to_integer<std::uint8_t>(bytes[0]);
    if (kind == option_end) break;
    if (kind == option_nop) {
      bytes = bytes.subspan(1);
      continue;
    }
    if (bytes.size() < 2) return std::nullopt;
    const auto length = std::to_integer<std::size_t>(bytes[1]);
    if (length < 2 || length > bytes.size()) return std::nullopt;
    const std::byte* value = bytes.data() + 2;
    switch (kind) {
      case option_mss:
        if (length != 4) return std::nullopt;
        if (syn) options.mss = load<be16>(value).get();
        break;
      case option_window_scale:
        if (length != 3) return std::nullopt;
        // RFC 7323 §2.3: a larger shift count is to be taken as 14.
        if (syn)
          options.window_scale = std::min(std::to_integer<std::uint8_t>(*value), window_scale_max);
        break;
      case option_sack_permitted:
        if (length != 2) return std::nullopt;
        if (syn) options.sack_permitted = true;
        break;
      case option_timestamps:
        if (length != 10) return std::nullopt;
        options.timestamps =
            TcpTimestamps{.value = load<be32>(value).get(), .echo = load<be32>(value + 4).get()};
        break;
      case option_sack:
        if (length < 2 + sizeof(SackBlock) || (length - 2) % sizeof(SackBlock) != 0)
          return std::nullopt;
        if (!syn) options.sack_blocks = load_sack_blocks(bytes.subspan(2, length - 2));
        break;
      default:
        break;
    }
    bytes = bytes.subspan(length);
  }
  return options;
}

Parsed<TcpPacketView> parse_tcp_packet(std::span<const std::byte> frame, nic::RxChecksum known) {
  const auto refuse = [](ParseError error) { return tl::unexpected(error); };

  const Parsed<IpPacketView> ip = parse_unicast_packet(frame);
  if (!ip) return refuse(ip.error());
  if (ip->protocol != protocol_tcp) return refuse(ParseError::other_protocol);

  const std::span<const std::byte> segment = ip->payload;
  if (segment.size() < tcp_bytes_min) return refuse(ParseError::tcp_truncated);
  const auto tcp = load<TcpLayout>(segment.data());
  const std::uint16_t offset_flags = tcp.data_offset_flags.get();
  const std::size_t header_bytes = static_cast<std::size_t>(offset_flags >> 12) * 4;
  if (header_bytes < tcp_bytes_min || header_bytes > segment.size())
    return refuse(ParseError::tcp_data_offset);
  // Before the options, so that a flipped bit is reported as what it is.
  if (!checksum_acceptable(*ip, offsetof(TcpLayout, checksum), known))
    return refuse(ParseError::tcp_checksum);

  const TcpFlags flags{.fin = (offset_flags & 0x01) != 0,
                       .syn = (offset_flags & 0x02) != 0,
                       .rst = (offset_flags & 0x04) != 0,
                       .psh = (offset_flags & 0x08) != 0,
                       .ack = (offset_flags & 0x10) != 0,
                       .ece = (offset_flags & 0x40) != 0,
                       .cwr = (offset_flags & 0x80) != 0};
  const std::optional<TcpOptions> options =
      parse_tcp_options(segment.subspan(tcp_bytes_min, header_bytes - tcp_bytes_min), flags.syn);
  if (!options) return refuse(ParseError::tcp_options);

  return TcpPacketView{.source_mac = ip->source_mac,
                       .destination_mac = ip->destination_mac,
                       .vlan_id = ip->vlan_id,
                       .source = ip->source,
                       .destination = ip->destination,
                       .source_port = tcp.source_port.get(),
                       .destination_port = tcp.destination_port.get(),
                       .seq = tcp.seq.get(),
                       .ack = tcp.ack.get(),
                       .window = tcp.window.get(),
                       .ecn = ip->ecn,
                       .flags = flags,
                       .options = *options,
                       .payload = segment.subspan(header_bytes)};
}

}  // namespace strictsend::wire
