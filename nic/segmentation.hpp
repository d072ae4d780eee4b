// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "nic/port.hpp"

namespace strictsend::nic {

/// The packets that a device cuts from one with a SegmentationRequest, as arithmetic: pure, no
/// packet is looked at. A value of the request and the whole frame's length.
///
///     headers | payload_bytes | payload_bytes | … | the rest
///               packet 0        packet 1            packet count() - 1
class Segmentation {
 public:
  struct Piece {
    std::uint32_t index = 0;
    std::uint32_t payload_begin_bytes = 0;  ///< from the first payload byte
    std::uint32_t payload_bytes = 0;
    bool last = false;
  };

  /// `frame_bytes`: headers once and the whole payload, which must not be empty.
  Segmentation(const SegmentationRequest& request, std::uint32_t frame_bytes);

  [[nodiscard]] std::uint32_t count() const { return count_; }
  [[nodiscard]] Piece piece(std::uint32_t index) const;
  /// Of piece `index` as a frame.
  [[nodiscard]] std::uint32_t frame_bytes(std::uint32_t index) const {
    return header_bytes_ + piece(index).payload_bytes;
  }

 private:
  std::uint32_t header_bytes_;
  std::uint32_t payload_bytes_each_;
  std::uint32_t payload_bytes_;
  std::uint32_t count_;
};

/// Makes a copy of the whole packet's headers (Ethernet with a tag or without, IPv4 or IPv6, TCP
/// with options) one piece's: lengths, IPv4's identification and checksum, sequence number, FIN,
/// PSH and CWR. What is left is the headers of a packet like any other, its checksum still to be
/// finished by `checksum`.
void make_piece_header(std::span<std::byte> header, const ChecksumRequest& checksum,
                       const Segmentation::Piece& piece);

/// Cuts one packet, checksum and all, out of a whole frame into `into`, which holds it; returns its
/// length. What a device does, for ports that are none.
std::uint32_t cut_piece(std::span<const std::byte> frame, const SegmentationRequest& request,
                        const ChecksumRequest& checksum, std::uint32_t index,
                        std::span<std::byte> into);

}  // namespace strictsend::nic
