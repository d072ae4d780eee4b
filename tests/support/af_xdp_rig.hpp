// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "nic/af_xdp/open.hpp"
#include "nic/wire/header_template.hpp"
#include "tests/support/dma_buffer.hpp"
#include "tests/support/netns.hpp"

namespace strictsend::test {

/// An AF_XDP port on the near end of a cable, and kernel sockets at its far end. One thread.
///
/// Memory: the first free frame holds headers, the frames after it are the test's, filled with
/// bytes that differ from page to page.
class AfXdpRig {
 public:
  static constexpr std::uint16_t near_port = 9000;
  static constexpr std::uint16_t peer_port = 9001;

  struct Options {
    NetNamespacePair::Options net;
    nic::af_xdp::AfXdpConfig port;  ///< the interface's name is filled in
  };
  static Result<std::unique_ptr<AfXdpRig>> make(Options options);
  static Result<std::unique_ptr<AfXdpRig>> make() { return make(Options{}); }

  NetNamespacePair net;
  DmaBuffer dma{512, 64};
  nic::af_xdp::AfXdpConfig config;
  std::unique_ptr<nic::Port> port;
  wire::UdpHeaderTemplate headers;
  UniqueFd udp;      ///< a bound kernel UDP socket at the far end
  UniqueFd capture;  ///< a packet socket at the far end: sees and injects whole frames

  [[nodiscard]] nic::Queue& queue(std::size_t index = 0) const { return port->queue(index); }
  /// Frames for payload.
  [[nodiscard]] FrameIndex payload_frame(std::uint32_t n = 0) const {
    return dma.first_free().plus(64 + n);
  }
  nic::Fragment payload(std::uint32_t frame, std::uint32_t in_page, std::uint32_t length) const {
    return {ArenaOffset{offset_of(payload_frame(frame)).value + in_page}, length};
  }
  std::vector<std::byte> bytes_of(std::span<const nic::Fragment> fragments);

  enum class Checksum : std::uint8_t { software, offload };
  /// Hands the queue one datagram: a header fragment, then `fragments`; or, linear, one fragment
  /// with the payload copied behind the header. False: no room.
  bool send(std::span<const nic::Fragment> fragments, std::uint32_t cookie, Checksum checksum,
            bool linear = false, std::size_t queue_index = 0);

  /// Kicks and reaps until nothing is outstanding; counts each cookie's completions.
  void complete_all(std::size_t queue_index = 0);
  std::map<std::uint32_t, std::vector<nic::TxStatus>> completed;
  std::size_t outstanding = 0;

  /// The next datagram at the far end's socket; empty after some seconds of silence.
  std::vector<std::byte> next_datagram() const;
  /// The next frame that `wanted` accepts; empty after some seconds of silence.
  std::vector<std::byte> next_frame(
      const std::function<bool(std::span<const std::byte>)>& wanted) const;
  /// Puts a frame on the cable at the far end.
  void inject(std::span<const std::byte> frame) const;
  /// Polls the queue until a packet is there; empty after some seconds of silence.
  std::vector<std::byte> next_received(std::size_t queue_index = 0) const;

 private:
  explicit AfXdpRig(NetNamespacePair pair) : net(std::move(pair)) {}
  Result<void> open_peer_sockets();
};

}  // namespace strictsend::test
