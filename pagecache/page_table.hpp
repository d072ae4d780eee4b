// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>

#include "base/page.hpp"
#include "pagecache/frame_table.hpp"

namespace strictsend::pagecache {

/// One page of a file. Every word is written under the file's lock only; senders read without it.
struct PageEntry {
  /// Even: the entry is at rest. Made odd (seq_cst) before and even (release) after every change of
  /// `current` or of the history; a sender that pinned a frame reads it again (seq_cst) and uses
  /// the frame only if it did not change.
  std::atomic<std::uint32_t> seq{0};
  /// The frame that holds the page's bytes now; 0: the page was truncated away, or is
  /// not in memory. Store release, load acquire.
  std::atomic<std::uint32_t> current{0};
  /// The newest history node (a frame index); 0: none. Store release, load acquire.
  std::atomic<std::uint32_t> history{0};
  /// The frame where the page belongs, in its extent; differs from `current` while it is away.
  /// Under the file's lock.
  std::uint32_t home = 0;
};
static_assert(sizeof(PageEntry) == 16);
// A frame with its page's entry, of which a table has at most twice as many as the file has pages.
static_assert(sizeof(Frame) + 2 * sizeof(PageEntry) <= 64, "metadata per frame is bounded");

/// A file's pages. Grows without moving an entry (chunks that double in size), so that senders may
/// look pages up while it grows; shrinks only when destroyed.
///
/// Growing is done under the file's lock. At most twice the entries that the file needs.
class PageTable {
 public:
  PageTable() = default;
  PageTable(const PageTable&) = delete;
  PageTable& operator=(const PageTable&) = delete;
  ~PageTable() {
    for (auto& chunk : chunks_)
      delete[] chunk.load(std::memory_order_relaxed);
  }

  void grow(std::uint64_t pages) {
    for (std::size_t k = 0; capacity_ < pages; ++k) {
      if (chunks_[k].load(std::memory_order_relaxed) != nullptr) continue;
      chunks_[k].store(new PageEntry[chunk_size(k)], std::memory_order_release);
      capacity_ += chunk_size(k);
    }
  }
  [[nodiscard]] std::uint64_t capacity() const { return capacity_; }

  [[nodiscard]] PageEntry& operator[](PageIndex page) const {
    const auto k = static_cast<std::size_t>(std::bit_width(page.value >> first_chunk_shift));
    const std::uint32_t base = k == 0 ? 0 : chunk_size(k);
    return chunks_[k].load(std::memory_order_acquire)[page.value - base];
  }

 private:
  // Chunk 0 holds pages [0, 16), chunk k > 0 holds [16 << (k-1), 16 << k).
  static constexpr unsigned first_chunk_shift = 4;
  static constexpr std::uint32_t chunk_size(std::size_t k) { return k == 0 ? 16U : 16U << (k - 1); }

  std::uint64_t capacity_ = 0;
  std::array<std::atomic<PageEntry*>, 29> chunks_{};
};

}  // namespace strictsend::pagecache
