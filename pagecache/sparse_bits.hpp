// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace strictsend::pagecache {

/// A set of indices that finds its next member in a few steps however large the gaps are: each word
/// of a level above tells which words of the level below are not zero. So asking "is any page of
/// this gigabyte unprotected?" costs the same as asking for one page.
///
/// Not synchronised: each set belongs to a lock.
class SparseBits {
 public:
  explicit SparseBits(std::uint64_t size = 0) { resize(size); }

  /// Grows or keeps; members stay.
  void resize(std::uint64_t size);
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] std::uint64_t count() const { return count_; }

  [[nodiscard]] bool test(std::uint64_t index) const {
    return ((levels_[0][index / 64] >> (index % 64)) & 1) != 0;
  }
  void set(std::uint64_t index);
  void clear(std::uint64_t index);
  void set_range(std::uint64_t begin, std::uint64_t end);
  void clear_range(std::uint64_t begin, std::uint64_t end);

  /// The first member in [from, end), or `end`.
  [[nodiscard]] std::uint64_t next(std::uint64_t from, std::uint64_t end) const;
  /// The first index in [from, end) that is not a member, or `end`.
  [[nodiscard]] std::uint64_t next_clear(std::uint64_t from, std::uint64_t end) const;

 private:
  static constexpr std::size_t level_count = 4;  // 64^4 bits and more on the topmost, scanned
  std::uint64_t size_ = 0;
  std::uint64_t count_ = 0;
  std::array<std::vector<std::uint64_t>, level_count> levels_;
};

}  // namespace strictsend::pagecache
