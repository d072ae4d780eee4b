// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace strictsend::pagecache {

/// What is decided when a protected page is about to be written: pure, so that it is tested and
/// model-checked alone. The effects stand in PageChanger.
///
///     examine ──not needed, not pinned──▶ lift
///        │ needed or pinned
///        ▼
///     take a spare ──none──▶ defer
///        │ copy, mark the page, read its pins again
///        ├──no pin──▶ the copy goes into the history (or back), lift        [in place]
///        ▼ pinned
///     move the writer to the copy ──no VMA left──▶ defer
///        │
///        ▼ the pinned frame goes into the history (or waits for its pins)   [redirect]

enum class PreservePhase : std::uint8_t { examine, taking, marking, moving, done };

struct PreserveState {
  PreservePhase phase = PreservePhase::examine;
  bool needed = false;  ///< a live snapshot reads the page's current bytes
  bool operator==(const PreserveState&) const = default;
};

enum class PreserveEvent : std::uint8_t {
  examined_idle,           ///< not needed, no pin
  examined_pinned,         ///< not needed, but a descriptor is out
  examined_needed,         ///< needed, no pin
  examined_needed_pinned,  ///< both
  spare_taken,
  spare_refused,
  marked_idle,    ///< pins read as zero after the mark
  marked_pinned,  ///< pins read as not zero after the mark
  writer_moved,
  move_refused,
};

enum class PreserveAction : std::uint8_t {
  take_spare,
  copy_to_spare,       ///< the page's current bytes
  mark,                ///< sequence count odd (seq_cst)
  read_pins,           ///< of the current frame (seq_cst); only after `mark`
  unmark,              ///< sequence count even (release)
  spare_into_history,  ///< only between mark and unmark, as the following two
  current_into_history,
  spare_becomes_current,
  old_frame_waits,  ///< the former current frame is free once its pins are gone
  free_spare,
  move_writer,  ///< the mapping's page shows the spare frame
  lift,         ///< let the writer write the current frame
  defer,        ///< nothing was changed: try again later
};

class PreserveActions {
 public:
  constexpr PreserveActions() = default;
  constexpr PreserveActions(std::initializer_list<PreserveAction> actions) {
    for (const PreserveAction action : actions)
      push(action);
  }
  constexpr void push(PreserveAction action) { actions_[size_++] = action; }
  [[nodiscard]] constexpr const PreserveAction* begin() const { return actions_.data(); }
  [[nodiscard]] constexpr const PreserveAction* end() const { return actions_.data() + size_; }
  constexpr bool operator==(const PreserveActions&) const = default;

 private:
  std::array<PreserveAction, 6> actions_{};
  std::size_t size_ = 0;
};

struct PreserveStep {
  PreserveState state;
  PreserveActions actions;
};

/// The event for what was found under the lock.
[[nodiscard]] constexpr PreserveEvent examined(bool needed, bool pinned) {
  if (needed) {
    return pinned ? PreserveEvent::examined_needed_pinned : PreserveEvent::examined_needed;
  }
  return pinned ? PreserveEvent::examined_pinned : PreserveEvent::examined_idle;
}

/// An event that cannot come in a state is a programmer's error.
[[nodiscard]] PreserveStep step(PreserveState state, PreserveEvent event);

}  // namespace strictsend::pagecache
