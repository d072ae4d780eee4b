// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace strictsend::testing {

/// Whether a sanitizer watches. Then a few seeds reach the same code, which is all that it looks
/// at; what many seeds find is for the optimised build.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif
#else
inline constexpr bool sanitized = false;
#endif

}  // namespace strictsend::testing
