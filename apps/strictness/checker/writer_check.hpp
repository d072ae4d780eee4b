// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "apps/strictness/checker/check.hpp"

namespace strictsend::checker {

/// What the words of one writer say about one download.
struct WriterFinding {
  std::uint64_t cut = 0;
  std::optional<Violation> first;
  std::uint64_t wrong_words = 0;
  std::vector<bool> wrong_pages;  ///< empty when there are none
};

/// One finding for each download, in their order. Downloads of a wrong size get an empty one.
/// Writers own disjoint words, so any number of these may run side by side.
[[nodiscard]] std::vector<WriterFinding> check_writer(const Layout& layout, std::uint32_t writer,
                                                      const WriteLog& log,
                                                      std::span<const Download> downloads);

}  // namespace strictsend::checker
