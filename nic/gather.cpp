// SPDX-License-Identifier: Apache-2.0
#include "nic/gather.hpp"

#include <cstring>

#include "base/assert.hpp"
#include "base/endian.hpp"
#include "base/inet_checksum.hpp"

namespace strictsend::nic {

std::uint32_t length_of(std::span<const Fragment> fragments) {
  std::uint32_t length_bytes = 0;
  for (const Fragment& fragment : fragments)
    length_bytes += fragment.length_bytes;
  return length_bytes;
}

std::uint32_t gather(const DmaMemory& memory, std::span<const Fragment> fragments,
                     std::span<std::byte> into) {
  std::uint32_t length_bytes = 0;
  for (const Fragment& fragment : fragments) {
    STRICTSEND_ASSERT(fragment.length_bytes <= into.size() - length_bytes);
    std::memcpy(into.data() + length_bytes, memory.base + fragment.offset.value,
                fragment.length_bytes);
    length_bytes += fragment.length_bytes;
  }
  return length_bytes;
}

void complete_checksum(std::span<std::byte> frame, const ChecksumRequest& request) {
  const std::span<std::byte> summed = frame.subspan(request.start_bytes);
  const std::uint16_t checksum = finish_sum(inet_sum(summed));
  // Zero is sent as its other representation, as UDP wants and TCP does not mind (kernel,
  // skb_checksum_help).
  const be16 field = checksum != 0 ? checksum : std::uint16_t{0xffff};
  std::memcpy(summed.subspan(request.offset_bytes, sizeof(field)).data(), &field, sizeof(field));
}

}  // namespace strictsend::nic
