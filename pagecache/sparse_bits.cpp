// SPDX-License-Identifier: Apache-2.0
#include "pagecache/sparse_bits.hpp"

#include <algorithm>
#include <bit>

namespace strictsend::pagecache {
namespace {
constexpr std::uint64_t ones_from(std::uint64_t bit) {
  return ~std::uint64_t{0} << bit;
}
}  // namespace

void SparseBits::resize(std::uint64_t size) {
  size_ = std::max(size_, size);
  std::uint64_t words = size_ / 64 + 1;
  for (auto& level : levels_) {
    if (level.size() < words) level.resize(words);
    words = words / 64 + 1;
  }
}

void SparseBits::set(std::uint64_t index) {
  if (test(index)) return;
  ++count_;
  for (auto& level : levels_) {
    std::uint64_t& word = level[index / 64];
    const bool was_empty = word == 0;
    word |= std::uint64_t{1} << (index % 64);
    if (!was_empty) return;
    index /= 64;
  }
}

void SparseBits::clear(std::uint64_t index) {
  if (!test(index)) return;
  --count_;
  for (auto& level : levels_) {
    std::uint64_t& word = level[index / 64];
    word &= ~(std::uint64_t{1} << (index % 64));
    if (word != 0) return;
    index /= 64;
  }
}

void SparseBits::set_range(std::uint64_t begin, std::uint64_t end) {
  for (std::uint64_t index = begin; index < end; ++index)
    set(index);
}

void SparseBits::clear_range(std::uint64_t begin, std::uint64_t end) {
  for (std::uint64_t index = next(begin, end); index < end; index = next(index + 1, end))
    clear(index);
}

std::uint64_t SparseBits::next(std::uint64_t from, std::uint64_t end) const {
  end = std::min(end, size_);
  if (from >= end) return end;
  // Up while the rest of the word is empty, then down to the first member.
  std::uint64_t index = from;
  for (std::size_t level = 0; level < level_count; ++level) {
    const std::vector<std::uint64_t>& words = levels_[level];
    std::uint64_t at = index / 64;
    if (at >= words.size()) return end;
    std::uint64_t word = words[at] & ones_from(index % 64);
    if (level + 1 == level_count) {
      while (word == 0 && ++at < words.size())
        word = words[at];
    }
    if (word == 0) {
      index = at + 1;
      continue;
    }
    std::uint64_t found = at * 64 + static_cast<std::uint64_t>(std::countr_zero(word));
    for (std::size_t below = level; below-- > 0;)
      found = found * 64 + static_cast<std::uint64_t>(std::countr_zero(levels_[below][found]));
    return std::min(found, end);
  }
  return end;
}

std::uint64_t SparseBits::next_clear(std::uint64_t from, std::uint64_t end) const {
  end = std::min(end, size_);
  while (from < end) {
    const std::uint64_t word = ~levels_[0][from / 64] & ones_from(from % 64);
    if (word != 0) {
      return std::min(from / 64 * 64 + static_cast<std::uint64_t>(std::countr_zero(word)), end);
    }
    from = (from / 64 + 1) * 64;
  }
  return end;
}

}  // namespace strictsend::pagecache
