// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace strictsend::http {

/// A request that gets an error instead of a file: the status, one sentence for the person at the
/// other end, and for what may mend itself (503), when to try again.
struct Refusal {
  int status = 500;
  std::string sentence;
  std::optional<std::uint32_t> retry_after_s{};
};

}  // namespace strictsend::http
