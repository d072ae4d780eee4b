// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace strictsend::udp {

/// A datagram that the device has: a part of what its packet's slot remembers.
struct InFlight {
  InFlight* older = nullptr;
  InFlight* newer = nullptr;
  std::uint64_t offset = 0;  ///< of its slice in the splice's range
};

/// The datagrams of one splice that the device has not completed: a list in the order of their
/// handing over, for devices complete in whatever order they like. What lies below the oldest is
/// done with for good. Pure; the nodes are the caller's and stay where they are while listed.
class Outstanding {
 public:
  void handed_over(InFlight& datagram, std::uint64_t offset) {
    datagram = {.older = newest_, .newer = nullptr, .offset = offset};
    (newest_ != nullptr ? newest_->newer : oldest_) = &datagram;
    newest_ = &datagram;
  }
  void completed(InFlight& datagram) {
    (datagram.older != nullptr ? datagram.older->newer : oldest_) = datagram.newer;
    (datagram.newer != nullptr ? datagram.newer->older : newest_) = datagram.older;
    datagram = {};
  }
  [[nodiscard]] bool empty() const { return oldest_ == nullptr; }
  /// Below this offset all is complete, given where the bytes begin that were not handed over.
  [[nodiscard]] std::uint64_t complete_to(std::uint64_t handed_over_to) const {
    return oldest_ != nullptr ? oldest_->offset : handed_over_to;
  }

 private:
  InFlight* oldest_ = nullptr;
  InFlight* newest_ = nullptr;
};

}  // namespace strictsend::udp
