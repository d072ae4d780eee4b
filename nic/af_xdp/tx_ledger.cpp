// SPDX-License-Identifier: Apache-2.0
#include "nic/af_xdp/tx_ledger.hpp"

#include <bit>

#include "base/assert.hpp"

namespace strictsend::nic::af_xdp {

TxLedger::TxLedger(std::uint32_t capacity)
    : capacity_(capacity),
      addresses_(std::make_unique<std::uint64_t[]>(capacity)),
      packets_(std::make_unique<Packet[]>(capacity)) {
  STRICTSEND_ASSERT(std::has_single_bit(capacity));
}

void TxLedger::begin_packet(std::uint32_t cookie) {
  STRICTSEND_DEBUG_ASSERT(next_packet_ - oldest_packet_ < capacity_);
  packet(next_packet_) = Packet{cookie, next_descriptor_, 0};
  ++next_packet_;
  ++live_packets_;
}

void TxLedger::add_descriptor(std::uint64_t address) {
  STRICTSEND_DEBUG_ASSERT(free_descriptors() > 0);
  addresses_[next_descriptor_ & (capacity_ - 1)] = address;
  ++next_descriptor_;
  ++packet(next_packet_ - 1).descriptors;
}

bool TxLedger::find_packet_starting_with(std::uint64_t address) {
  for (std::uint32_t index = oldest_packet_; index != next_packet_; ++index) {
    const Packet& candidate = packet(index);
    if (candidate.descriptors != 0 &&
        addresses_[candidate.first_descriptor & (capacity_ - 1)] == address) {
      current_packet_ = index;
      return true;
    }
  }
  return false;
}

TxLedger::Completed TxLedger::complete(std::uint64_t address) {
  if (matched_ == 0) {
    if (!find_packet_starting_with(address)) return {};
  } else {
    const std::uint32_t expected = packet(current_packet_).first_descriptor + matched_;
    if (addresses_[expected & (capacity_ - 1)] != address) return {};
  }
  const Packet& begun = packet(current_packet_);
  if (++matched_ < begun.descriptors) return {Match::descriptor, 0};
  const std::uint32_t cookie = begun.cookie;
  finish(current_packet_);
  return {Match::packet, cookie};
}

void TxLedger::finish(std::uint32_t index) {
  matched_ = 0;
  packet(index).descriptors = 0;
  --live_packets_;
  while (oldest_packet_ != next_packet_ && packet(oldest_packet_).descriptors == 0)
    ++oldest_packet_;
}

std::optional<std::uint32_t> TxLedger::abandon_oldest() {
  if (empty()) return std::nullopt;
  const std::uint32_t cookie = packet(oldest_packet_).cookie;
  finish(oldest_packet_);
  return cookie;
}

}  // namespace strictsend::nic::af_xdp
