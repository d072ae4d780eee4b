// SPDX-License-Identifier: Apache-2.0
#include "pagecache/preserve_step.hpp"

#include "base/assert.hpp"
#include "base/mutation.hpp"

namespace strictsend::pagecache {
namespace {

using Action = PreserveAction;
using Event = PreserveEvent;
using Phase = PreservePhase;

PreserveStep examine(Event event) {
  const bool needed = event == Event::examined_needed || event == Event::examined_needed_pinned;
  const bool pinned = event == Event::examined_pinned || event == Event::examined_needed_pinned;
  // Not needed is not enough: after the acknowledgement a descriptor may still be out, and the
  // write would change a frame under DMA.
  if (!needed && (!pinned || mutation_active(Mutation::lift_under_descriptor))) {
    return {{Phase::done, false}, {Action::lift}};
  }
  return {{Phase::taking, needed}, {Action::take_spare}};
}

PreserveStep marked(bool needed, bool pinned) {
  if (!pinned) {
    if (needed) {
      return {{Phase::done, true}, {Action::spare_into_history, Action::unmark, Action::lift}};
    }
    return {{Phase::done, false}, {Action::unmark, Action::free_spare, Action::lift}};
  }
  // The frame stays as it is for its descriptors, so nothing can go wrong between here and the
  // second mark, which makes the change visible once the writer has been moved.
  return {{Phase::moving, needed}, {Action::unmark, Action::move_writer}};
}

PreserveStep moved(bool needed) {
  if (needed) {
    return {{Phase::done, true},
            {Action::mark, Action::current_into_history, Action::spare_becomes_current,
             Action::unmark}};
  }
  return {{Phase::done, false},
          {Action::mark, Action::spare_becomes_current, Action::unmark, Action::old_frame_waits}};
}

}  // namespace

PreserveStep step(PreserveState state, PreserveEvent event) {
  switch (event) {
    case Event::examined_idle:
    case Event::examined_pinned:
    case Event::examined_needed:
    case Event::examined_needed_pinned:
      STRICTSEND_ASSERT(state.phase == Phase::examine);
      return examine(event);
    case Event::spare_taken:
      STRICTSEND_ASSERT(state.phase == Phase::taking);
      return {{Phase::marking, state.needed},
              {Action::copy_to_spare, Action::mark, Action::read_pins}};
    case Event::spare_refused:
      STRICTSEND_ASSERT(state.phase == Phase::taking);
      return {{Phase::done, state.needed}, {Action::defer}};
    case Event::marked_idle:
    case Event::marked_pinned:
      STRICTSEND_ASSERT(state.phase == Phase::marking);
      return marked(state.needed, event == Event::marked_pinned);
    case Event::writer_moved:
      STRICTSEND_ASSERT(state.phase == Phase::moving);
      return moved(state.needed);
    case Event::move_refused:
      STRICTSEND_ASSERT(state.phase == Phase::moving);
      return {{Phase::done, state.needed}, {Action::free_spare, Action::defer}};
  }
  STRICTSEND_ASSERT(false);
}

}  // namespace strictsend::pagecache
