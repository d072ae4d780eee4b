// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/inet_checksum.hpp"
#include "nic/wire/layout.hpp"
#include "nic/wire/tcp_segment.hpp"

namespace strictsend::wire {

/// Both ends of a flow, ours being the source.
struct FlowAddress {
  nic::MacAddress source_mac{};
  nic::MacAddress destination_mac{};
  Ipv4Address source{};
  Ipv4Address destination{};
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
};

/// What differs from segment to segment.
struct TcpSegmentHeader {
  std::uint32_t seq = 0;
  std::uint32_t ack = 0;
  std::uint16_t window = 0;  ///< as on the wire, already scaled down
  std::uint8_t ecn = 0;      ///< for the IP header, RFC 3168 §5
  TcpFlags flags;
  TcpOptions options;
  std::uint32_t payload_bytes = 0;
};

/// An emitted header whose checksum the device completes: hand `checksum` on in TxPacket::checksum.
struct OffloadedHeader {
  std::uint32_t header_bytes = 0;
  nic::ChecksumRequest checksum;
};

inline constexpr std::size_t tcp_frame_header_bytes_max =
    ethernet_bytes + ipv4_bytes_min + tcp_bytes_max;
inline constexpr std::size_t udp_frame_header_bytes = ethernet_bytes + ipv4_bytes_min + udp_bytes;

/// What a TCP header's options leave of the MTU for the payload.
[[nodiscard]] constexpr std::uint32_t tcp_payload_bytes_max(std::uint32_t mtu_bytes,
                                                            const TcpOptions& options) {
  return mtu_bytes -
         static_cast<std::uint32_t>(ipv4_bytes_min + tcp_bytes_min + tcp_option_bytes(options));
}

/// The Ethernet, IPv4 and TCP headers of one flow with everything constant filled in and summed, so
/// that a segment costs a short copy and a few additions. A value: the flow owns it, any thread may
/// emit from it, nothing is allocated.
///
/// `into` must hold tcp_frame_header_bytes_max bytes, or as many as the segment's options need. The
/// payload starts at an even position of the checksummed range, whatever the options (a TCP header
/// is a multiple of 4 bytes), so `payload_sum` is inet_sum of the payload or a sum of even-sized
/// pieces of it.
class TcpHeaderTemplate {
 public:
  TcpHeaderTemplate() = default;
  explicit TcpHeaderTemplate(const FlowAddress& flow);

  /// Writes the header with a finished checksum; returns its size.
  std::uint32_t emit(std::span<std::byte> into, const TcpSegmentHeader& segment,
                     PartialSum payload_sum) const;
  /// Writes it with the uncomplemented pseudo-header sum in the checksum field.
  OffloadedHeader emit_for_offload(std::span<std::byte> into,
                                   const TcpSegmentHeader& segment) const;
  /// Writes it for a packet that the device is to cut (TxPacket::segmentation): the sum in the
  /// checksum field lacks the length, and there is no IPv4 checksum. `segment` is the whole.
  OffloadedHeader emit_for_segmentation(std::span<std::byte> into,
                                        const TcpSegmentHeader& segment) const;

 private:
  struct Headers {
    EthernetLayout ethernet;
    Ipv4Layout ip;
    TcpLayout tcp;
  };
  static_assert(sizeof(Headers) == ethernet_bytes + ipv4_bytes_min + tcp_bytes_min);

  /// What has been written, all but the checksum.
  struct Written {
    Headers* headers;
    std::size_t tcp_bytes;
    PartialSum options_sum;
  };
  [[nodiscard]] Written write(std::span<std::byte> into, const TcpSegmentHeader& segment) const;

  Headers headers_;
  std::uint32_t ip_sum_ = 0;   ///< of the IPv4 header without its total length
  PartialSum pseudo_sum_ = 0;  ///< of the pseudo-header without the length
  PartialSum ports_sum_ = 0;
};

/// The same for UDP datagrams.
class UdpHeaderTemplate {
 public:
  UdpHeaderTemplate() = default;
  explicit UdpHeaderTemplate(const FlowAddress& flow);

  std::uint32_t emit(std::span<std::byte> into, std::uint32_t payload_bytes,
                     PartialSum payload_sum) const;
  OffloadedHeader emit_for_offload(std::span<std::byte> into, std::uint32_t payload_bytes) const;

 private:
  struct Headers {
    EthernetLayout ethernet;
    Ipv4Layout ip;
    UdpLayout udp;
  };
  static_assert(sizeof(Headers) == udp_frame_header_bytes);

  std::uint32_t write(std::span<std::byte> into, std::uint32_t payload_bytes,
                      std::uint16_t checksum) const;

  Headers headers_;
  std::uint32_t ip_sum_ = 0;
  PartialSum pseudo_sum_ = 0;
  PartialSum ports_sum_ = 0;
};

}  // namespace strictsend::wire
