// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "base/result.hpp"

namespace strictsend::pagecache {

class Arena;
class Userfaultfd;

/// Tries what mappings rely on with one page; null: all there.
[[nodiscard]] std::optional<Error> missing_for_mappings(const Arena& arena,
                                                        const Userfaultfd& uffd);

/// The same with an arena and a userfaultfd of its own; the value is what
/// Userfaultfd::sees_kernel_faults says. Set-up thread.
Result<bool> try_mapping();

}  // namespace strictsend::pagecache
