// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

#include "base/page.hpp"
#include "pagecache/cached_file.hpp"
#include "pagecache/preserve_step.hpp"

namespace strictsend::pagecache {

class CacheCore;

/// Every change of a page's frame, history or protection while the file is in use. A view for the
/// time that the caller holds the file's lock (asserted nowhere, demanded everywhere). Never
/// blocks: what cannot be done now is refused and tried again.
class PageChanger {
 public:
  enum class Writer : std::uint8_t {
    fault,  ///< a thread that waits in the mapping: lift the protection and wake it
    api,    ///< the caller, through the DMA view: the mapping stays protected
  };

  PageChanger(CacheCore& core, CachedFile& file) : core_(core), file_(file) {}

  /// Makes the page's current frame writable for `writer`, old bytes preserved. False: no spare
  /// frame or no VMA; nothing was changed.
  [[nodiscard]] bool make_writable(std::uint64_t page, Writer writer);
  /// Lifts a protection that `make_writable` decided on.
  void lift(std::uint64_t page);

  /// Brings a page that is away back to its own frame. False: not now.
  [[nodiscard]] bool come_home(std::uint64_t page);

  /// Unlinks history that no live snapshot needs any more; returns how many frames.
  std::uint64_t collect(std::uint64_t page);

  /// Takes the page from the file; snapshots keep its bytes. It is not mapped any more.
  void drop(std::uint64_t page);

  // Pages that leave the memory and come again.
  [[nodiscard]] bool is_in_memory(std::uint64_t page) const;
  /// Of a page that is not in memory: this frame holds its bytes.
  void install(std::uint64_t page, FrameIndex frame);
  /// Whether the frame holds what the page was when it left the memory, as far as that is known.
  [[nodiscard]] bool is_what_was_evicted(std::uint64_t page, FrameIndex frame) const;
  /// Whether the disk has the page's bytes for as long as somebody may want them, and nobody is at
  /// its frame: not if it was written, is away, or a descriptor is on it.
  [[nodiscard]] bool may_leave(std::uint64_t page) const;
  /// Takes the frame of such a page away. False: the mapping cannot hide it.
  [[nodiscard]] bool evict(std::uint64_t page);

  /// Has a hidden page of the mapping show its frame, protected, and wakes who waits for that.
  /// False: no spare frame or no VMA; nothing was changed.
  [[nodiscard]] bool show(std::uint64_t page);

  /// Is the page's current frame what some live snapshot reads?
  [[nodiscard]] bool needed(std::uint64_t page) const;
  /// Does a live snapshot with lo <= epoch < hi cover the page?
  [[nodiscard]] bool interval_needed(std::uint64_t page, std::uint64_t lo, std::uint64_t hi) const;
  /// Does a snapshot of this epoch read the page out of the history?
  [[nodiscard]] bool keeps_for(std::uint64_t page, std::uint64_t epoch) const;

 private:
  struct Preserving;
  [[nodiscard]] PreserveEvent perform(Preserving& run, PreserveAction action);
  [[nodiscard]] bool hide(std::uint64_t page);
  /// Of what is of the file: a mapping may have left something behind its end.
  [[nodiscard]] std::uint64_t sum_of(std::uint64_t page, FrameIndex frame) const;
  void copy_page(FrameIndex from, FrameIndex to) const;
  void push_history(std::uint64_t page, FrameIndex frame);
  /// Takes the node that `link` names out of the page's history.
  void unlink(std::uint64_t page, std::atomic<std::uint32_t>& link, FrameIndex node);
  /// Replaces the home frame in the history by a copy, so that the page can come home.
  [[nodiscard]] bool move_home_out_of_history(std::uint64_t page);
  [[nodiscard]] bool is_mapped(std::uint64_t page) const {
    return file_.mapping != nullptr && page < file_.mapping->pages() && !file_.hidden.test(page);
  }

  CacheCore& core_;
  CachedFile& file_;
};

}  // namespace strictsend::pagecache
