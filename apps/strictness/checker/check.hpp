// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "apps/strictness/checker/layout.hpp"
#include "apps/strictness/checker/write_log.hpp"

namespace strictsend::checker {

/// A file as somebody received it, and when its submit ran (the log's clock).
struct Download {
  std::string name;                  ///< for people
  std::span<const std::byte> bytes;  ///< outlives the check
  std::int64_t submit_begin_ns = 0;
  std::int64_t submit_return_ns = 0;
};

/// What a strict splice promises, one by one.
enum class Rule : std::uint8_t {
  whole,         ///< the download has the size of the file
  known_value,   ///< every word holds its initial value or one that its writer stored there
  ended_before,  ///< every write that ended before submit began is in
  begun_after,   ///< no write that began after submit returned is in
  writer_order,  ///< if a write is in, so are all earlier ones of the same writer
};

struct Violation {
  Rule rule = Rule::whole;
  std::uint64_t offset_bytes = 0;
  std::string
      text;  ///< one sentence: where, what was expected, what was found, what rule that breaks
};

struct Verdict {
  std::optional<Violation> first;  ///< the one at the lowest offset
  std::uint64_t wrong_words = 0;   ///< that differ from the replay of each writer up to its cut
  std::uint64_t wrong_pages = 0;   ///< with at least one of them
  /// For each writer the number of its last write that is in: the snapshot's place in its history.
  std::vector<std::uint64_t> cuts;

  [[nodiscard]] bool strict() const { return !first.has_value(); }
};

/// Decides for each download whether it can be a snapshot taken at one instant inside its submit.
/// The idea: the newest write of a writer that is in a download fixes how far that writer had come;
/// replaying exactly so many of its writes must give every one of its words.
///
/// `logs` has one finished log for each writer of the layout. Takes time for one replay of all
/// writes and one reading of all downloads, and memory for one copy of the file; `threads` share
/// the writers among them. Blocks until done.
[[nodiscard]] std::vector<Verdict> check(const Layout& layout, std::span<const WriteLog> logs,
                                         std::span<const Download> downloads, unsigned threads = 1);

}  // namespace strictsend::checker
