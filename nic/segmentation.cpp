// SPDX-License-Identifier: Apache-2.0
#include "nic/segmentation.hpp"

#include <algorithm>
#include <cstring>

#include "base/assert.hpp"
#include "base/inet_checksum.hpp"
#include "nic/gather.hpp"
#include "nic/wire/ethernet_frame.hpp"
#include "nic/wire/layout.hpp"

namespace strictsend::nic {
namespace {

// Control bits as they stand on the wire: RFC 9293 §3.1, RFC 3168 §6.1.
constexpr std::uint16_t of_the_last_alone = 0x01 | 0x08;  // FIN, PSH
constexpr std::uint16_t of_the_first_alone = 0x80;        // CWR: one reduction is told of once

template <class Layout>
void store(std::byte* into, const Layout& layout) {
  std::memcpy(into, &layout, sizeof(layout));
}

/// `packet_bytes`: from the IP header on. `ip`: the IP header alone.
void make_ipv4_header(std::span<std::byte> ip, std::size_t packet_bytes, std::uint32_t index) {
  auto header = wire::load<wire::Ipv4Layout>(ip.data());
  STRICTSEND_ASSERT(std::size_t{header.version_ihl & 0x0fU} * 4 == ip.size());
  header.total_length = static_cast<std::uint16_t>(packet_bytes);
  // Never fragmented (DF), so the numbers mean nothing (RFC 6864 §4.1); devices count all the same.
  header.identification = static_cast<std::uint16_t>(header.identification.get() + index);
  header.checksum = 0;
  store(ip.data(), header);
  header.checksum = finish_sum(inet_sum(ip));
  store(ip.data(), header);
}

void make_ipv6_header(std::span<std::byte> ip, std::size_t packet_bytes) {
  auto header = wire::load<wire::Ipv6Layout>(ip.data());
  header.payload_length = static_cast<std::uint16_t>(packet_bytes - wire::ipv6_bytes);
  store(ip.data(), header);
}

}  // namespace

Segmentation::Segmentation(const SegmentationRequest& request, std::uint32_t frame_bytes)
    : header_bytes_(request.header_bytes),
      payload_bytes_each_(request.payload_bytes),
      payload_bytes_(frame_bytes - request.header_bytes),
      count_(0) {
  STRICTSEND_ASSERT(frame_bytes > request.header_bytes && request.payload_bytes > 0);
  count_ = (payload_bytes_ + payload_bytes_each_ - 1) / payload_bytes_each_;
}

Segmentation::Piece Segmentation::piece(std::uint32_t index) const {
  STRICTSEND_ASSERT(index < count_);
  const std::uint32_t begin = index * payload_bytes_each_;
  return {.index = index,
          .payload_begin_bytes = begin,
          .payload_bytes = std::min(payload_bytes_each_, payload_bytes_ - begin),
          .last = index + 1 == count_};
}

void make_piece_header(std::span<std::byte> header, const ChecksumRequest& checksum,
                       const Segmentation::Piece& piece) {
  STRICTSEND_ASSERT(header.size() >=
                    wire::ethernet_bytes + wire::ipv4_bytes_min + wire::tcp_bytes_min);
  const auto ethernet = wire::parse_ethernet(header);
  STRICTSEND_ASSERT(ethernet.has_value());
  const std::size_t ip_begin = header.size() - ethernet->payload.size();
  STRICTSEND_ASSERT(ip_begin + wire::ipv4_bytes_min <= checksum.start_bytes &&
                    checksum.start_bytes + wire::tcp_bytes_min <= header.size());
  const std::span<std::byte> ip = header.subspan(ip_begin, checksum.start_bytes - ip_begin);
  const std::size_t packet_bytes = header.size() - ip_begin + piece.payload_bytes;
  if (ethernet->ether_type == wire::ether_type_ipv4) {
    make_ipv4_header(ip, packet_bytes, piece.index);
  } else {
    STRICTSEND_ASSERT(ethernet->ether_type == wire::ether_type_ipv6 &&
                      ip.size() == wire::ipv6_bytes);
    make_ipv6_header(ip, packet_bytes);
  }

  std::byte* const tcp_at = header.data() + checksum.start_bytes;
  auto tcp = wire::load<wire::TcpLayout>(tcp_at);
  std::uint16_t dropped = 0;
  if (!piece.last) dropped |= of_the_last_alone;
  if (piece.index != 0) dropped |= of_the_first_alone;
  tcp.seq = tcp.seq.get() + piece.payload_begin_bytes;
  tcp.data_offset_flags = static_cast<std::uint16_t>(tcp.data_offset_flags.get() & ~dropped);
  // The pseudo-header's sum came without the length.
  const std::size_t tcp_bytes = header.size() - checksum.start_bytes + piece.payload_bytes;
  tcp.checksum = fold_sum(PartialSum{tcp.checksum.get()} + tcp_bytes);
  store(tcp_at, tcp);
}

std::uint32_t cut_piece(std::span<const std::byte> frame, const SegmentationRequest& request,
                        const ChecksumRequest& checksum, std::uint32_t index,
                        std::span<std::byte> into) {
  const Segmentation::Piece piece =
      Segmentation(request, static_cast<std::uint32_t>(frame.size())).piece(index);
  const std::uint32_t length_bytes = request.header_bytes + piece.payload_bytes;
  STRICTSEND_ASSERT(length_bytes <= into.size());
  const auto payload =
      frame.subspan(request.header_bytes + piece.payload_begin_bytes, piece.payload_bytes);
  std::ranges::copy(frame.first(request.header_bytes), into.begin());
  std::ranges::copy(payload, into.begin() + request.header_bytes);
  make_piece_header(into.first(request.header_bytes), checksum, piece);
  complete_checksum(into.first(length_bytes), checksum);
  return length_bytes;
}

}  // namespace strictsend::nic
