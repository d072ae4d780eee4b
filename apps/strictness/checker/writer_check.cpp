// SPDX-License-Identifier: Apache-2.0
#include "apps/strictness/checker/writer_check.hpp"

#include <algorithm>
#include <cstring>
#include <string>

namespace strictsend::checker {
namespace {

std::uint64_t word_at(std::span<const std::byte> bytes, std::uint64_t word) {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data() + word * 8, 8);
  return value;
}

/// One writer's words as they were after its first `replayed` writes, moved forward only.
class Replay {
 public:
  Replay(const Layout& layout, std::uint32_t writer)
      : layout_(layout), writer_(writer), numbers_(layout.owned_words(writer)) {}

  void advance_to(std::uint64_t number) {
    while (replayed_ < number) {
      ++replayed_;
      numbers_[layout_.slot_of(writer_, replayed_)] = replayed_;
    }
  }
  /// The last write to one of the writer's slots; 0: none.
  [[nodiscard]] std::uint64_t number(std::uint64_t slot) const { return numbers_[slot]; }

 private:
  const Layout& layout_;
  std::uint32_t writer_;
  std::uint64_t replayed_ = 0;
  std::vector<std::uint64_t> numbers_;
};

/// Puts what one writer's words show about one download into words.
class Examination {
 public:
  Examination(const Layout& layout, std::uint32_t writer, const WriteLog& log,
              const Download& download, WriterFinding& finding)
      : layout_(layout),
        writer_(writer),
        log_(log),
        download_(download),
        finding_(finding),
        ended_(log.certainly_ended_before(download.submit_begin_ns)),
        begun_(log.possibly_begun_by(download.submit_return_ns)) {}

  /// The newest write that is really this writer's and stands where it belongs.
  [[nodiscard]] std::uint64_t find_cut() const {
    std::uint64_t cut = 0;
    for (std::uint64_t word = writer_; word < layout_.words(); word += layout_.writers()) {
      const Decoded found = Layout::decode(word_at(download_.bytes, word));
      if (found.number > cut && belongs(found, word)) cut = found.number;
    }
    return cut;
  }

  void compare(const Replay& replay) {
    check_bounds();
    const std::uint64_t owned = layout_.owned_words(writer_);
    for (std::uint64_t slot = 0; slot < owned; ++slot) {
      const std::uint64_t word = layout_.word_of_slot(writer_, slot);
      const std::uint64_t number = replay.number(slot);
      const std::uint64_t expected =
          number == 0 ? Layout::initial_value(word) : Layout::value_of(writer_, number);
      const std::uint64_t found = word_at(download_.bytes, word);
      if (found != expected) wrong_word(word, number, found);
    }
  }

 private:
  /// Whether this writer stored that value in that word, ever.
  [[nodiscard]] bool belongs(const Decoded& found, std::uint64_t word) const {
    if (found.initial) return found.initial_word == word;
    return found.writer == writer_ && found.number >= 1 && found.number <= log_.writes() &&
           layout_.word_of(writer_, found.number) == word;
  }

  void check_bounds() {
    const std::uint64_t cut = finding_.cut;
    if (cut < ended_) {
      const std::uint64_t word = layout_.word_of(writer_, cut + 1);
      report(Rule::ended_before, word,
             write_name(cut + 1) + " ended before submit began, but it is not in: the newest of " +
                 "this writer that is in is write " + std::to_string(cut) + ", and " +
                 std::to_string(ended_) + " had ended");
    } else if (cut > begun_) {
      const std::uint64_t word = layout_.word_of(writer_, cut);
      report(Rule::begun_after, word,
             write_name(cut) + " is in, but it began after submit returned: at most " +
                 std::to_string(begun_) + " writes of this writer had begun by then");
    }
  }

  void wrong_word(std::uint64_t word, std::uint64_t expected_number, std::uint64_t value) {
    ++finding_.wrong_words;
    finding_.wrong_pages.resize(layout_.file_bytes() / Layout::page_bytes);
    finding_.wrong_pages[word / Layout::words_per_page] = true;
    if (finding_.first && finding_.first->offset_bytes <= word * 8) return;

    const Decoded found = Layout::decode(value);
    const std::string expected =
        expected_number == 0 ? "its initial value" : write_name(expected_number);
    if (!belongs(found, word)) {
      report(Rule::known_value, word,
             "expected " + expected + ", found " + describe(value) + ", never stored there");
    } else if (expected_number <= ended_) {
      report(Rule::ended_before, word,
             "expected " + expected + ", which ended before submit began, found the older " +
                 describe(value));
    } else {
      report(Rule::writer_order, word,
             "expected " + expected + ", since write " + std::to_string(finding_.cut) +
                 " of this writer is in, found the older " + describe(value));
    }
  }

  void report(Rule rule, std::uint64_t word, const std::string& what) {
    if (finding_.first && finding_.first->offset_bytes <= word * 8) return;
    finding_.first = Violation{rule, word * 8,
                               "at offset " + std::to_string(word * 8) + " (page " +
                                   std::to_string(word / Layout::words_per_page) + "): " + what};
  }

  [[nodiscard]] std::string write_name(std::uint64_t number) const {
    return "write " + std::to_string(number) + " of writer " + std::to_string(writer_);
  }

  /// What a value is, and where it would belong if that can be told.
  [[nodiscard]] std::string describe(std::uint64_t value) const {
    const Decoded found = Layout::decode(value);
    if (found.initial && found.initial_word < layout_.words())
      return "initial value of offset " + std::to_string(found.initial_word * 8);
    if (!found.initial && found.writer < layout_.writers() && found.number >= 1 &&
        (found.writer != writer_ || found.number <= log_.writes()))
      return "write " + std::to_string(found.number) + " of writer " +
             std::to_string(found.writer) + " (to offset " +
             std::to_string(layout_.word_of(found.writer, found.number) * 8) + ")";
    return "value " + std::to_string(value) + " of no write";
  }

  const Layout& layout_;
  std::uint32_t writer_;
  const WriteLog& log_;
  const Download& download_;
  WriterFinding& finding_;
  std::uint64_t ended_;  // writes 1 … ended_ must be in
  std::uint64_t begun_;  // writes after begun_ must not be in
};

}  // namespace

std::vector<WriterFinding> check_writer(const Layout& layout, std::uint32_t writer,
                                        const WriteLog& log, std::span<const Download> downloads) {
  std::vector<WriterFinding> findings(downloads.size());
  std::vector<std::size_t> order;
  std::vector<Examination> examinations;
  examinations.reserve(downloads.size());
  for (std::size_t i = 0; i < downloads.size(); ++i) {
    examinations.emplace_back(layout, writer, log, downloads[i], findings[i]);
    if (downloads[i].bytes.size() != layout.file_bytes()) continue;
    findings[i].cut = examinations[i].find_cut();
    order.push_back(i);
  }
  // In the order of their cuts, one replay serves them all.
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return findings[a].cut < findings[b].cut; });
  Replay replay(layout, writer);
  for (const std::size_t i : order) {
    replay.advance_to(findings[i].cut);
    examinations[i].compare(replay);
  }
  return findings;
}

}  // namespace strictsend::checker
