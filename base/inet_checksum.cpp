// SPDX-License-Identifier: Apache-2.0
#include "base/inet_checksum.hpp"

#include <bit>
#include <cstring>

namespace strictsend {

PartialSum inet_sum(std::span<const std::byte> bytes) {
  // One's-complement addition commutes with byte swapping (RFC 1071 §2(B)), so the words are added
  // in host order, 32 bits at a time into 64, and the folded result is swapped once at the end.
  const std::byte* p = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  while (left >= 16) {
    std::uint64_t a = 0;
    std::uint64_t b = 0;
    std::memcpy(&a, p, 8);
    std::memcpy(&b, p + 8, 8);
    low += (a & 0xffffffff) + (b & 0xffffffff);
    high += (a >> 32) + (b >> 32);
    p += 16;
    left -= 16;
  }
  std::uint64_t sum = (low & 0xffffffff) + (low >> 32) + (high & 0xffffffff) + (high >> 32);
  while (left >= 2) {
    std::uint16_t word = 0;
    std::memcpy(&word, p, 2);
    sum += word;
    p += 2;
    left -= 2;
  }
  if (left == 1) {
    std::uint16_t word = 0;
    std::memcpy(&word, p, 1);
    sum += word;
  }
  const std::uint16_t folded = fold_sum(sum);
  if constexpr (std::endian::native == std::endian::little) {
    return static_cast<std::uint16_t>((folded << 8) | (folded >> 8));
  }
  return folded;
}

}  // namespace strictsend
