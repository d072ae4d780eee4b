// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include <tl/expected.hpp>

/// Marks what the shared library exports; everything else is hidden.
#define STRICTSEND_API __attribute__((visibility("default")))

namespace strictsend {

/// Why an operation failed: what was tried, the errno, and what the reader can do about it.
///
/// Returned by everything that can fail because of its environment or its caller's input.
/// Programmer errors are asserted instead, and outcomes that are expected at run time (a full ring,
/// say) are plain values.
struct Error {
  std::string operation;  ///< What was tried, in the reader's words: "UMEM registration".
  int errno_value = 0;    ///< The errno it failed with; 0 where there is none.
  std::string hint;       ///< What is wrong and the step that mends it; may be empty.

  /// For people, in one line without its end.
  /// \return "UMEM registration failed: Cannot allocate memory (ENOMEM): raise it with ulimit -l"
  [[nodiscard]] STRICTSEND_API std::string message() const;
};

/// A value, or why there is none. Test it (`if (!result)`) before `*result` or `result.error()`:
/// the other of the two is undefined. The one alias over tl::expected; to become std::expected once
/// the supported compilers have it.
template <class T>
using Result = tl::expected<T, Error>;

/// Builds the error side of a Result: `return fail("open file", errno, "check the path");`.
/// \param operation what was tried, in the reader's words
/// \param errno_value the errno it failed with, or 0
/// \param hint what is wrong and the step that mends it
/// \return what any Result can be made of
[[nodiscard]] inline tl::unexpected<Error> fail(std::string operation, int errno_value,
                                                std::string hint = {}) {
  return tl::unexpected<Error>(Error{std::move(operation), errno_value, std::move(hint)});
}

}  // namespace strictsend
