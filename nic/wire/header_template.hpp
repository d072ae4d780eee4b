// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/inet_checksum.hpp"
#include "nic/wire/ethernet_frame.hpp"
#include "nic/wire/layout.hpp"
#include "nic/wire/tcp_segment.hpp"

namespace strictsend::wire {

/// Both ends of a flow, ours being the source; both addresses are of one family.
struct FlowAddress {
  nic::MacAddress source_mac{};
  nic::MacAddress destination_mac{};
  IpAddress source;
  IpAddress destination;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  VlanId vlan_id;  ///< the tag that its frames carry
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

/// Without extension headers or IPv4 options, which we never send.
[[nodiscard]] constexpr std::size_t ip_header_bytes(AddressFamily family) {
  return family == AddressFamily::ipv4 ? ipv4_bytes_min : ipv6_bytes;
}

inline constexpr std::uint8_t hop_limit_default = 64;  // RFC 1700, "IP OPTION NUMBERS"

inline constexpr std::size_t frame_header_bytes_max = ethernet_bytes + vlan_bytes + ipv6_bytes;
inline constexpr std::size_t tcp_frame_header_bytes_max = frame_header_bytes_max + tcp_bytes_max;
inline constexpr std::size_t udp_frame_header_bytes_max = frame_header_bytes_max + udp_bytes;

/// What a TCP header's options leave of the MTU for the payload.
[[nodiscard]] constexpr std::uint32_t tcp_payload_bytes_max(
    std::uint32_t mtu_bytes, const TcpOptions& options,
    AddressFamily family = AddressFamily::ipv4) {
  return mtu_bytes - static_cast<std::uint32_t>(ip_header_bytes(family) + tcp_bytes_min +
                                                tcp_option_bytes(options));
}

/// The headers in front of TCP's or UDP's of one flow, ready to be copied: Ethernet, with an 802.1Q
/// tag or without, and IPv4 or IPv6. Part of the two templates below.
class FrameTemplate {
 public:
  FrameTemplate() = default;
  FrameTemplate(const FlowAddress& flow, std::uint8_t protocol,
                std::uint8_t hop_limit = hop_limit_default);

  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  /// Of the pseudo-header without the length.
  [[nodiscard]] PartialSum pseudo_sum() const { return pseudo_sum_; }
  /// For a transport header of `payload_bytes` with its payload, at which the IP length ends.
  /// `into` holds bytes().
  void write(std::byte* into, std::uint8_t ecn, std::size_t payload_bytes) const;
  /// Behind `write`, for a packet that the device is to cut: it computes the IPv4 checksum itself.
  void clear_ip_checksum(std::byte* into) const;
  [[nodiscard]] nic::ChecksumRequest checksum_at(std::size_t offset_bytes) const {
    return {.start_bytes = bytes_, .offset_bytes = static_cast<std::uint16_t>(offset_bytes)};
  }

 private:
  std::array<std::byte, frame_header_bytes_max> headers_{};
  std::uint16_t bytes_ = ethernet_bytes + ipv4_bytes_min;
  std::uint16_t ip_begin_ = ethernet_bytes;
  bool is_v4_ = true;
  std::uint32_t ip_sum_ = 0;  ///< of an IPv4 header without its total length and ECN field
  PartialSum pseudo_sum_ = 0;
};

/// The Ethernet, IP and TCP headers of one flow with everything constant filled in and summed, so
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

  /// Of a header with these options: the whole frame's up to the payload.
  [[nodiscard]] std::uint32_t header_bytes(const TcpOptions& options) const {
    return static_cast<std::uint32_t>(frame_.bytes() + tcp_bytes_min + tcp_option_bytes(options));
  }

 private:
  /// What has been written, all but the checksum.
  struct Written {
    TcpLayout* tcp;
    std::size_t tcp_bytes;
    PartialSum options_sum;
  };
  [[nodiscard]] Written write(std::span<std::byte> into, const TcpSegmentHeader& segment) const;

  FrameTemplate frame_;
  be16 source_port_;
  be16 destination_port_;
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

  /// The whole frame's up to the payload.
  [[nodiscard]] std::uint32_t header_bytes() const {
    return static_cast<std::uint32_t>(frame_.bytes() + udp_bytes);
  }

 private:
  std::uint32_t write(std::span<std::byte> into, std::uint32_t payload_bytes,
                      std::uint16_t checksum) const;

  FrameTemplate frame_;
  be16 source_port_;
  be16 destination_port_;
  PartialSum ports_sum_ = 0;
};

}  // namespace strictsend::wire
