// SPDX-License-Identifier: Apache-2.0
#include "nic/wire/header_template.hpp"

#include <new>

#include "base/assert.hpp"
#include "nic/wire/ipv4_packet.hpp"

namespace strictsend::wire {
namespace {

constexpr std::uint8_t ttl_hops = 64;  // RFC 1700, "IP OPTION NUMBERS"
constexpr std::size_t ipv4_total_bytes_max = 65535;

EthernetLayout ethernet_layout(const FlowAddress& flow) {
  return {.destination = flow.destination_mac,
          .source = flow.source_mac,
          .ether_type = ether_type_ipv4};
}

/// Never fragmented, so the identification means nothing and may be constant (RFC 6864 §4.1); a
/// device that cuts a packet counts on from it.
Ipv4Layout ipv4_layout(const FlowAddress& flow, std::uint8_t protocol) {
  return {.version_ihl = 0x45,
          .type_of_service = 0,
          .total_length = 0,
          .identification = 0,
          .flags_fragment_offset = ipv4_dont_fragment,
          .ttl = ttl_hops,
          .protocol = protocol,
          .checksum = 0,
          .source = flow.source,
          .destination = flow.destination};
}

std::uint32_t sum_of(const Ipv4Layout& ip) {
  return fold_sum(inet_sum(std::as_bytes(std::span(&ip, 1))));
}

void finish(Ipv4Layout& ip, std::uint32_t sum, std::size_t total_bytes) {
  STRICTSEND_ASSERT(total_bytes <= ipv4_total_bytes_max);
  ip.total_length = static_cast<std::uint16_t>(total_bytes);
  ip.checksum = finish_sum(sum + total_bytes);
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

constexpr nic::ChecksumRequest tcp_checksum_request{.start_bytes = ethernet_bytes + ipv4_bytes_min,
                                                    .offset_bytes = offsetof(TcpLayout, checksum)};
constexpr nic::ChecksumRequest udp_checksum_request{.start_bytes = ethernet_bytes + ipv4_bytes_min,
                                                    .offset_bytes = offsetof(UdpLayout, checksum)};

}  // namespace

TcpHeaderTemplate::TcpHeaderTemplate(const FlowAddress& flow)
    : headers_{.ethernet = ethernet_layout(flow),
               .ip = ipv4_layout(flow, protocol_tcp),
               .tcp = {.source_port = flow.source_port, .destination_port = flow.destination_port}},
      ip_sum_(sum_of(headers_.ip)),
      pseudo_sum_(pseudo_header_sum(flow.source, flow.destination, protocol_tcp, 0)),
      ports_sum_(PartialSum{flow.source_port} + flow.destination_port) {}

std::uint32_t TcpHeaderTemplate::emit(std::span<std::byte> into, const TcpSegmentHeader& segment,
                                      PartialSum payload_sum) const {
  const Written written = write(into, segment);
  const PartialSum sum = pseudo_sum_ + written.tcp_bytes + segment.payload_bytes + ports_sum_ +
                         segment.seq + segment.ack +
                         offset_flags(written.tcp_bytes, segment.flags) + segment.window +
                         written.options_sum + fold_sum(payload_sum);
  written.headers->tcp.checksum = finish_sum(sum);
  return static_cast<std::uint32_t>(ethernet_bytes + ipv4_bytes_min + written.tcp_bytes);
}

OffloadedHeader TcpHeaderTemplate::emit_for_offload(std::span<std::byte> into,
                                                    const TcpSegmentHeader& segment) const {
  const Written written = write(into, segment);
  written.headers->tcp.checksum = fold_sum(pseudo_sum_ + written.tcp_bytes + segment.payload_bytes);
  return {.header_bytes =
              static_cast<std::uint32_t>(ethernet_bytes + ipv4_bytes_min + written.tcp_bytes),
          .checksum = tcp_checksum_request};
}

OffloadedHeader TcpHeaderTemplate::emit_for_segmentation(std::span<std::byte> into,
                                                         const TcpSegmentHeader& segment) const {
  const Written written = write(into, segment);
  written.headers->ip.checksum = 0;
  written.headers->tcp.checksum = fold_sum(pseudo_sum_);
  return {.header_bytes =
              static_cast<std::uint32_t>(ethernet_bytes + ipv4_bytes_min + written.tcp_bytes),
          .checksum = tcp_checksum_request};
}

TcpHeaderTemplate::Written TcpHeaderTemplate::write(std::span<std::byte> into,
                                                    const TcpSegmentHeader& segment) const {
  const std::size_t tcp_bytes = tcp_bytes_min + tcp_option_bytes(segment.options);
  STRICTSEND_ASSERT(tcp_bytes <= tcp_bytes_max && segment.ecn <= ecn_mask);
  STRICTSEND_ASSERT(ethernet_bytes + ipv4_bytes_min + tcp_bytes <= into.size());

  // In place, field by field: a copy made elsewhere would be read back right after narrow stores,
  // which stalls.
  Headers* headers = ::new (into.data()) Headers(headers_);
  // The rest of the type of service is 0.
  headers->ip.type_of_service = segment.ecn;
  finish(headers->ip, ip_sum_ + segment.ecn, ipv4_bytes_min + tcp_bytes + segment.payload_bytes);
  headers->tcp.seq = segment.seq;
  headers->tcp.ack = segment.ack;
  headers->tcp.data_offset_flags = offset_flags(tcp_bytes, segment.flags);
  headers->tcp.window = segment.window;
  const PartialSum options_sum = OptionWriter(into.data() + sizeof(Headers)).write(segment.options);
  return {.headers = headers, .tcp_bytes = tcp_bytes, .options_sum = options_sum};
}

UdpHeaderTemplate::UdpHeaderTemplate(const FlowAddress& flow)
    : headers_{.ethernet = ethernet_layout(flow),
               .ip = ipv4_layout(flow, protocol_udp),
               .udp = {.source_port = flow.source_port, .destination_port = flow.destination_port}},
      ip_sum_(sum_of(headers_.ip)),
      pseudo_sum_(pseudo_header_sum(flow.source, flow.destination, protocol_udp, 0)),
      ports_sum_(PartialSum{flow.source_port} + flow.destination_port) {}

std::uint32_t UdpHeaderTemplate::emit(std::span<std::byte> into, std::uint32_t payload_bytes,
                                      PartialSum payload_sum) const {
  const PartialSum length_bytes = udp_bytes + payload_bytes;
  const std::uint16_t checksum =
      finish_sum(pseudo_sum_ + length_bytes + ports_sum_ + length_bytes + fold_sum(payload_sum));
  // RFC 768: zero means "no checksum", so a computed zero is sent as its other representation.
  return write(into, payload_bytes, checksum != 0 ? checksum : 0xffff);
}

OffloadedHeader UdpHeaderTemplate::emit_for_offload(std::span<std::byte> into,
                                                    std::uint32_t payload_bytes) const {
  const std::uint16_t pseudo = fold_sum(pseudo_sum_ + udp_bytes + payload_bytes);
  return {.header_bytes = write(into, payload_bytes, pseudo), .checksum = udp_checksum_request};
}

std::uint32_t UdpHeaderTemplate::write(std::span<std::byte> into, std::uint32_t payload_bytes,
                                       std::uint16_t checksum) const {
  STRICTSEND_ASSERT(sizeof(Headers) <= into.size());
  Headers* headers = ::new (into.data()) Headers(headers_);
  finish(headers->ip, ip_sum_, ipv4_bytes_min + udp_bytes + payload_bytes);
  headers->udp.length = static_cast<std::uint16_t>(udp_bytes + payload_bytes);
  headers->udp.checksum = checksum;
  return static_cast<std::uint32_t>(sizeof(Headers));
}

}  // namespace strictsend::wire
