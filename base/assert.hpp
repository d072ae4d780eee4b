// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace strictsend {
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line) noexcept;
}  // namespace strictsend

/// A programmer's error ends the process: on in release builds too, because a wrong frame on the
/// wire is worse than none. Measured inner loops may use STRICTSEND_DEBUG_ASSERT.
#define STRICTSEND_ASSERT(expression)  \
  ((expression) ? static_cast<void>(0) \
                : ::strictsend::assertion_failed(#expression, __FILE__, __LINE__))

#ifdef STRICTSEND_DEBUG
#define STRICTSEND_DEBUG_ASSERT(expression) STRICTSEND_ASSERT(expression)
#else
#define STRICTSEND_DEBUG_ASSERT(expression) static_cast<void>(sizeof(expression))
#endif
