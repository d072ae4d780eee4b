// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace strictsend::test {

/// A fuzzer's bytes, taken as numbers from the front; zeros once they are used up.
class FuzzInput {
 public:
  explicit FuzzInput(std::span<const std::byte> bytes) : left_(bytes) {}

  [[nodiscard]] bool empty() const { return left_.empty(); }
  std::uint8_t byte() {
    if (left_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(left_.front());
    left_ = left_.subspan(1);
    return value;
  }
  std::uint16_t word() { return static_cast<std::uint16_t>(byte() << 8 | byte()); }
  std::uint32_t number() { return std::uint32_t{word()} << 16 | word(); }
  /// Below `bound`, which is not 0.
  std::uint32_t below(std::uint64_t bound) {
    return static_cast<std::uint32_t>((bound <= 256 ? byte() : word()) % bound);
  }

 private:
  std::span<const std::byte> left_;
};

}  // namespace strictsend::test
