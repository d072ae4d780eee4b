// SPDX-License-Identifier: Apache-2.0
#include "apps/strictness/checker/layout.hpp"

#include <cerrno>
#include <cstring>

namespace strictsend::checker {
namespace {

/// The finaliser of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number
/// generators", OOPSLA 2014): every input bit moves every output bit, in five instructions.
constexpr std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31);
}

/// `random` scaled to [0, bound), without a division (Lemire 2019); the bias is below 2^-32 here.
constexpr std::uint64_t below(std::uint64_t random, std::uint64_t bound) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((Wide{random} * bound) >> 64);
}

/// After so many writes a writer's hot pages are replaced by others.
constexpr unsigned hot_period_shift = 16;

}  // namespace

Result<Layout> Layout::create(const Parameters& parameters) {
  const auto refuse = [](const char* hint) {
    return fail("laying out the writers' file", EINVAL, hint);
  };
  if (parameters.file_bytes == 0 || parameters.file_bytes % page_bytes != 0)
    return refuse("its size must be a multiple of 4096 bytes, and not 0");
  if (parameters.writers == 0 || parameters.writers > words_per_page)
    return refuse("1 to 512 writers can share its pages");
  if (parameters.pattern == Pattern::hot_pages && parameters.hot_pages == 0)
    return refuse("at least one page must be hot");
  return Layout(parameters);
}

std::uint64_t Layout::slot_of(std::uint32_t writer, std::uint64_t number) const {
  switch (parameters_.pattern) {
    case Pattern::uniform: {
      const std::uint64_t random = mix(parameters_.seed ^ mix(value_of(writer, number)));
      return below(random, owned_words(writer));
    }
    case Pattern::sweep:
      return (number - 1) % owned_words(writer);
    case Pattern::hot_pages:
      return hot_slot_of(writer, number);
  }
  return 0;
}

std::uint64_t Layout::hot_slot_of(std::uint32_t writer, std::uint64_t number) const {
  const std::uint64_t random = mix(parameters_.seed ^ mix(value_of(writer, number)));
  const std::uint64_t hot =
      (number >> hot_period_shift) * parameters_.hot_pages + random % parameters_.hot_pages;
  // The writer's number is not mixed in here: all writers meet on the same pages.
  const std::uint64_t page =
      below(mix(parameters_.seed + mix(hot)), parameters_.file_bytes / page_bytes);
  // The writer's slots of that page: from the first at or behind its first word.
  const std::uint64_t first = first_slot_from(writer, page * words_per_page);
  const std::uint64_t end = first_slot_from(writer, (page + 1) * words_per_page);
  return first + below(mix(random), end - first);
}

Decoded Layout::decode(std::uint64_t value) {
  if ((value & initial_mark) != 0)
    return {.initial = true, .initial_word = value & ~initial_mark, .writer = 0, .number = 0};
  return {.initial = false,
          .initial_word = 0,
          .writer = static_cast<std::uint32_t>(value >> number_bits),
          .number = value & ((std::uint64_t{1} << number_bits) - 1)};
}

void Layout::fill_initial(std::span<std::byte> bytes, std::uint64_t first_word) {
  for (std::size_t at = 0; at + 8 <= bytes.size(); at += 8) {
    const std::uint64_t value = initial_value(first_word + at / 8);
    std::memcpy(bytes.data() + at, &value, 8);
  }
}

}  // namespace strictsend::checker
