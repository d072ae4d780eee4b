// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/page.hpp"

namespace strictsend::pagecache {

/// A fast hash of a page, to notice that it changed; not against an adversary.
[[nodiscard]] std::uint64_t audit_sum(std::span<const std::byte, page_bytes> bytes);

/// In the place of the sum of a page that is not in memory.
inline constexpr std::uint64_t audit_unknown = ~std::uint64_t{0};

/// Audit mode's memory of free frames: their sums when they became free. Owned by CacheCore, used
/// under the allocator's mutex.
class FrameAudit {
 public:
  FrameAudit(std::byte* dma_view, std::uint64_t frames);

  void became_free(FrameIndex frame);
  /// False: somebody wrote into the frame while it was free.
  [[nodiscard]] bool unchanged(FrameIndex frame) const;

  std::uint64_t failures = 0;

 private:
  [[nodiscard]] std::span<const std::byte, page_bytes> bytes(FrameIndex frame) const;

  std::byte* dma_view_;
  std::unique_ptr<std::uint64_t[]> sums_;
};

}  // namespace strictsend::pagecache
