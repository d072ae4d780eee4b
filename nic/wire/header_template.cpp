// SPDX-License-Identifier: Apache-2.0
#include "nic/wire/header_template.hpp"

#include <new>

#include "base/assert.hpp"
#include "nic/wire/ip_packet.hpp"

namespace strictsend::wire {
namespace {

constexpr std::size_t ip_bytes_max = 65535;

/// Never fragmented, so the identification means nothing and may be constant (RFC 6864 §4.1); a
/// device that cuts a packet counts on from it.
Ipv4Layout ipv4_layout(const FlowAddress& flow, std::uint8_t protocol, std::uint8_t hop_limit) {
  return {.version_ihl = 0x45,
          .type_of_service = 0,
          .total_length = 0,
          .identification = 0,
          .flags_fragment_offset = ipv4_dont_fragment,
          .ttl = hop_limit,
          .protocol = protocol,
          .checksum = 0,
          .source = flow.source.v4(),
          .destination = flow.destination.v4()};
}

/// The flow label is 0, as it may be (RFC 6437 §3): ports tell flows apart, nothing stands before
/// them.
Ipv6Layout ipv6_layout(const FlowAddress& flow, std::uint8_t protocol, std::uint8_t hop_limit) {
  return {.version_class_flow = std::uint32_t{6} << 28,
          .payload_length = 0,
          .next_header = protocol,
          .hop_limit = hop_limit,
          .source = flow.source.v6(),
          .destination = flow.destination.v6()};
}

template <class Layout>
void store(std::byte* into, const Layout& layout) {
  std::memcpy(into, &layout, sizeof layout);
}

/// Writes the options as whole 32-bit words, in the order that Linux uses too; paddings stand in
/// front so that timestamps are aligned (RFC 7323 appendix A). There is room for tcp_option_bytes.
class OptionWriter {
 public:
  explicit OptionWriter(std::byte* into) : into_(into) {}

  /// Returns their sum.
  PartialSum write(const TcpOptions& options) {
    if (options.mss) put(word(option_mss, 4, 0, 0) | *options.mss);
    if (options.timestamps) {
      put(options.sack_permitted ? word(option_sack_permitted, 2, option_timestamps, 10)
                                 : word(option_nop, option_nop, option_timestamps, 10));
      put(options.timestamps->value);
      put(options.timestamps->echo);
    } else if (options.sack_permitted) {
      put(word(option_nop, option_nop, option_sack_permitted, 2));
    }
    if (options.window_scale) {
      STRICTSEND_ASSERT(*options.window_scale <= window_scale_max);
      put(word(option_nop, option_window_scale, 3, *options.window_scale));
    }
    if (const SackBlocks& sack = options.sack_blocks; sack.count != 0) {
      put(word(option_nop, option_nop, option_sack,
               static_cast<std::uint8_t>(2 + sizeof(SackBlock) * sack.count)));
      for (const SackBlock& block : sack.view()) {
        put(block.begin);
        put(block.end);
      }
    }
    return sum_;
  }

 private:
  static constexpr std::uint32_t word(std::uint8_t a, std::uint8_t b, std::uint8_t c,
                                      std::uint8_t d) {
    return std::uint32_t{a} << 24 | std::uint32_t{b} << 16 | std::uint32_t{c} << 8 | d;
  }
  void put(std::uint32_t value) {
    const be32 field = value;
    std::memcpy(into_, &field, sizeof(field));
    into_ += sizeof(field);
    // Two 16-bit words at once: 2^16 is 1 in one's-complement arithmetic.
    sum_ += value;
  }

  std::byte* into_;
  PartialSum sum_ = 0;
};

std::uint16_t offset_flags(std::size_t tcp_bytes, const TcpFlags& flags) {
  return static_cast<std::uint16_t>((tcp_bytes / 4) << 12 | (flags.fin ? 0x01U : 0U) |
                                    (flags.syn ? 0x02U : 0U) | (flags.rst ? 0x04U : 0U) |
                                    (flags.psh ? 0x08U : 0U) | (flags.ack ? 0x10U : 0U) |
                                    (flags.ece ? 0x40U : 0U) | (flags.cwr ? 0x80U : 0U));
}

}  // namespace

FrameTemplate::FrameTemplate(const FlowAddress& flow, std::uint8_t protocol, std::uint8_t hop_limit)
    : is_v4_(flow.source.is_v4()),
      pseudo_sum_(fold_sum(pseudo_header_sum(flow.source, flow.destination, protocol, 0))) {
  STRICTSEND_ASSERT(flow.source.family() == flow.destination.family());
  ip_begin_ = static_cast<std::uint16_t>(
      write_link_header(headers_.data(), flow.source_mac, flow.destination_mac, flow.vlan_id,
                        is_v4_ ? ether_type_ipv4 : ether_type_ipv6));
  bytes_ = static_cast<std::uint16_t>(ip_begin_ + ip_header_bytes(flow.source.family()));
  std::byte* const ip_at = headers_.data() + ip_begin_;
  if (!is_v4_) {
    store(ip_at, ipv6_layout(flow, protocol, hop_limit));
    return;
  }
  store(ip_at, ipv4_layout(flow, protocol, hop_limit));
  ip_sum_ = fold_sum(inet_sum({ip_at, ipv4_bytes_min}));
}

void FrameTemplate::write(std::byte* into, std::uint8_t ecn, std::size_t payload_bytes) const {
  // Of a length known to the compiler, whichever it is: a call would cost more than the copy.
  static_assert(frame_header_bytes_max == 58);
  switch (bytes_) {
    case ethernet_bytes + ipv4_bytes_min:
      std::memcpy(into, headers_.data(), ethernet_bytes + ipv4_bytes_min);
      break;
    case ethernet_bytes + vlan_bytes + ipv4_bytes_min:
      std::memcpy(into, headers_.data(), ethernet_bytes + vlan_bytes + ipv4_bytes_min);
      break;
    case ethernet_bytes + ipv6_bytes:
      std::memcpy(into, headers_.data(), ethernet_bytes + ipv6_bytes);
      break;
    default:
      std::memcpy(into, headers_.data(), frame_header_bytes_max);
      break;
  }
  // In place, field by field: what is copied right after narrow stores is read back slowly.
  std::byte* const ip_at = into + ip_begin_;
  if (is_v4_) {
    const std::size_t total_bytes = ipv4_bytes_min + payload_bytes;
    STRICTSEND_ASSERT(total_bytes <= ip_bytes_max);
    // The rest of the type of service is 0.
    ip_at[offsetof(Ipv4Layout, type_of_service)] = std::byte{ecn};
    store(ip_at + offsetof(Ipv4Layout, total_length),
          be16(static_cast<std::uint16_t>(total_bytes)));
    store(ip_at + offsetof(Ipv4Layout, checksum), be16(finish_sum(ip_sum_ + ecn + total_bytes)));
  } else {
    STRICTSEND_ASSERT(payload_bytes <= ip_bytes_max);
    store(ip_at, be32(std::uint32_t{6} << 28 | std::uint32_t{ecn} << 20));
    store(ip_at + offsetof(Ipv6Layout, payload_length),
          be16(static_cast<std::uint16_t>(payload_bytes)));
  }
}

void FrameTemplate::clear_ip_checksum(std::byte* into) const {
  if (is_v4_) store(into + ip_begin_ + offsetof(Ipv4Layout, checksum), be16(0));
}

TcpHeaderTemplate::TcpHeaderTemplate(const FlowAddress& flow)
    : frame_(flow, protocol_tcp),
      source_port_(flow.source_port),
      destination_port_(flow.destination_port),
      ports_sum_(PartialSum{flow.source_port} + flow.destination_port) {}

std::uint32_t TcpHeaderTemplate::emit(std::span<std::byte> into, const TcpSegmentHeader& segment,
                                      PartialSum payload_sum) const {
  const Written written = write(into, segment);
  const PartialSum sum = frame_.pseudo_sum() + written.tcp_bytes + segment.payload_bytes +
                         ports_sum_ + segment.seq + segment.ack +
                         offset_flags(written.tcp_bytes, segment.flags) + segment.window +
                         written.options_sum + fold_sum(payload_sum);
  written.tcp->checksum = finish_sum(sum);
  return static_cast<std::uint32_t>(frame_.bytes() + written.tcp_bytes);
}

OffloadedHeader TcpHeaderTemplate::emit_for_offload(std::span<std::byte> into,
                                                    const TcpSegmentHeader& segment) const {
  const Written written = write(into, segment);
  written.tcp->checksum = fold_sum(frame_.pseudo_sum() + written.tcp_bytes + segment.payload_bytes);
  return {.header_bytes = static_cast<std::uint32_t>(frame_.bytes() + written.tcp_bytes),
          .checksum = frame_.checksum_at(offsetof(TcpLayout, checksum))};
}

OffloadedHeader TcpHeaderTemplate::emit_for_segmentation(std::span<std::byte> into,
                                                         const TcpSegmentHeader& segment) const {
  const Written written = write(into, segment);
  frame_.clear_ip_checksum(into.data());
  written.tcp->checksum = fold_sum(frame_.pseudo_sum());
  return {.header_bytes = static_cast<std::uint32_t>(frame_.bytes() + written.tcp_bytes),
          .checksum = frame_.checksum_at(offsetof(TcpLayout, checksum))};
}

TcpHeaderTemplate::Written TcpHeaderTemplate::write(std::span<std::byte> into,
                                                    const TcpSegmentHeader& segment) const {
  const std::size_t tcp_bytes = tcp_bytes_min + tcp_option_bytes(segment.options);
  STRICTSEND_ASSERT(tcp_bytes <= tcp_bytes_max && segment.ecn <= ecn_mask);
  STRICTSEND_ASSERT(frame_.bytes() + tcp_bytes <= into.size());

  frame_.write(into.data(), segment.ecn, tcp_bytes + segment.payload_bytes);
  std::byte* const tcp_at = into.data() + frame_.bytes();
  TcpLayout* const tcp =
      ::new (tcp_at) TcpLayout{.source_port = source_port_,
                               .destination_port = destination_port_,
                               .seq = segment.seq,
                               .ack = segment.ack,
                               .data_offset_flags = offset_flags(tcp_bytes, segment.flags),
                               .window = segment.window,
                               .checksum = 0,
                               .urgent_pointer = 0};
  const PartialSum options_sum = OptionWriter(tcp_at + tcp_bytes_min).write(segment.options);
  return {.tcp = tcp, .tcp_bytes = tcp_bytes, .options_sum = options_sum};
}

UdpHeaderTemplate::UdpHeaderTemplate(const FlowAddress& flow)
    : frame_(flow, protocol_udp),
      source_port_(flow.source_port),
      destination_port_(flow.destination_port),
      ports_sum_(PartialSum{flow.source_port} + flow.destination_port) {}

std::uint32_t UdpHeaderTemplate::emit(std::span<std::byte> into, std::uint32_t payload_bytes,
                                      PartialSum payload_sum) const {
  const PartialSum length_bytes = udp_bytes + payload_bytes;
  const std::uint16_t checksum = finish_sum(frame_.pseudo_sum() + length_bytes + ports_sum_ +
                                            length_bytes + fold_sum(payload_sum));
  // RFC 768: zero means "no checksum", so a computed zero is sent as its other representation.
  return write(into, payload_bytes, checksum != 0 ? checksum : 0xffff);
}

OffloadedHeader UdpHeaderTemplate::emit_for_offload(std::span<std::byte> into,
                                                    std::uint32_t payload_bytes) const {
  const std::uint16_t pseudo = fold_sum(frame_.pseudo_sum() + udp_bytes + payload_bytes);
  return {.header_bytes = write(into, payload_bytes, pseudo),
          .checksum = frame_.checksum_at(offsetof(UdpLayout, checksum))};
}

std::uint32_t UdpHeaderTemplate::write(std::span<std::byte> into, std::uint32_t payload_bytes,
                                       std::uint16_t checksum) const {
  STRICTSEND_ASSERT(frame_.bytes() + udp_bytes <= into.size());
  frame_.write(into.data(), ecn_not_ect, udp_bytes + payload_bytes);
  store(into.data() + frame_.bytes(),
        UdpLayout{.source_port = source_port_,
                  .destination_port = destination_port_,
                  .length = static_cast<std::uint16_t>(udp_bytes + payload_bytes),
                  .checksum = checksum});
  return static_cast<std::uint32_t>(frame_.bytes() + udp_bytes);
}

}  // namespace strictsend::wire
