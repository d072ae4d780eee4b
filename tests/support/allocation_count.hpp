// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

namespace strictsend::test {

/// How often this thread has called operator new. Counted only in programs that link
/// allocation_count.cpp, which replaces the global operators.
[[nodiscard]] std::uint64_t allocation_count();

}  // namespace strictsend::test
