// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include <strictsend/result.hpp>

namespace strictsend::checker {

/// How a writer moves through the file.
enum class Pattern : std::uint8_t {
  uniform,    ///< every word equally likely, everywhere
  sweep,      ///< one word after the other, from the beginning again at the end
  hot_pages,  ///< on a few pages, which others replace now and then
};

/// What a word says about itself: the initial content of some word, or write `number` of `writer`.
struct Decoded {
  bool initial = false;
  std::uint64_t initial_word = 0;
  std::uint32_t writer = 0;
  std::uint64_t number = 0;  ///< from 1
};

/// Who writes what where: a pure function of a few parameters, so that a checker can replay
/// millions of writes of which only the instants were recorded.
///
/// The file is an array of 8-byte words. Writer w of W owns the words whose index is w modulo W, so
/// that all writers share every page, and every word has one writer:
///
///     word     0   1   2   3   4   5   6 …       value of a word:  initial   1 | index (63 bits)
///     writer   0   1   2   0   1   2   0 …  (W = 3)                 written   0 | writer (15) |
///     number (48)
///
/// A value type; every method may be called by any thread.
class Layout {
 public:
  struct Parameters {
    std::uint64_t file_bytes = 0;  ///< whole pages
    std::uint32_t writers = 1;     ///< at most words_per_page
    Pattern pattern = Pattern::uniform;
    std::uint64_t seed = 1;
    std::uint32_t hot_pages = 64;  ///< how many at a time
  };

  static constexpr std::uint64_t page_bytes = 4096;
  static constexpr std::uint64_t words_per_page = page_bytes / 8;

  static Result<Layout> create(const Parameters& parameters);

  [[nodiscard]] std::uint64_t file_bytes() const { return parameters_.file_bytes; }
  [[nodiscard]] std::uint64_t words() const { return parameters_.file_bytes / 8; }
  [[nodiscard]] std::uint32_t writers() const { return parameters_.writers; }
  /// How many words `writer` owns. The k-th of them, its slot k, is word k * writers() + writer.
  [[nodiscard]] std::uint64_t owned_words(std::uint32_t writer) const {
    return (words() - writer + writers() - 1) / writers();
  }

  [[nodiscard]] std::uint64_t word_of_slot(std::uint32_t writer, std::uint64_t slot) const {
    return slot * writers() + writer;
  }

  /// Which of its slots the `number`-th write (from 1) of `writer` goes to.
  [[nodiscard]] std::uint64_t slot_of(std::uint32_t writer, std::uint64_t number) const;
  /// The same as a word of the file.
  [[nodiscard]] std::uint64_t word_of(std::uint32_t writer, std::uint64_t number) const {
    return word_of_slot(writer, slot_of(writer, number));
  }

  [[nodiscard]] static constexpr std::uint64_t initial_value(std::uint64_t word) {
    return initial_mark | word;
  }
  [[nodiscard]] static constexpr std::uint64_t value_of(std::uint32_t writer,
                                                        std::uint64_t number) {
    return (std::uint64_t{writer} << number_bits) | number;
  }
  [[nodiscard]] static Decoded decode(std::uint64_t value);

  /// Fills a piece of a new file that begins at `first_word`; the piece is whole words.
  static void fill_initial(std::span<std::byte> bytes, std::uint64_t first_word);

 private:
  static constexpr unsigned number_bits = 48;
  static constexpr std::uint64_t initial_mark = std::uint64_t{1} << 63;

  explicit Layout(const Parameters& parameters) : parameters_(parameters) {}
  /// The first slot of `writer` at or behind `word`.
  [[nodiscard]] std::uint64_t first_slot_from(std::uint32_t writer, std::uint64_t word) const {
    return word <= writer ? 0 : (word - writer + writers() - 1) / writers();
  }
  [[nodiscard]] std::uint64_t hot_slot_of(std::uint32_t writer, std::uint64_t number) const;

  Parameters parameters_;
};

}  // namespace strictsend::checker
