// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace strictsend::http {

/// A request that gets a sentence instead of a file: the status, the sentence for the person at the
/// other end, and what only some statuses have.
struct Refusal {
  int status = 500;
  std::string sentence;
  std::optional<std::uint32_t> retry_after_s{};    ///< 503: when to try again
  std::optional<std::uint64_t> complete_length{};  ///< 416: how long the file is
  std::string location{};                          ///< 301: where it is
};

}  // namespace strictsend::http
