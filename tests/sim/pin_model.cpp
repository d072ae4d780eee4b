// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/pin_model.hpp"

#include <array>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <utility>
#include <vector>

#include "pagecache/preserve_step.hpp"

namespace strictsend::pagecache {
namespace {

using u8 = std::uint8_t;

constexpr u8 frame_count = 6;  // frame 0 is "none", frame 1 the page's home
constexpr u8 home = 1;
constexpr u8 sender_count = 2;
constexpr u8 rounds_per_sender = 2;

// --- The machine's state: bytes only, so that it can be hashed and compared as such.

enum class SenderAt : u8 {
  absent,
  read_seq,
  read_head,
  walk,
  read_current,
  pin,
  validate,
  read,
  acknowledge,
  unpin,
  finished
};

struct Sender {
  SenderAt at = SenderAt::absent;
  u8 epoch = 0;
  u8 expected = 0;  // the page's content at its freeze
  u8 covers = 0;
  u8 rounds = 0;
  u8 seq = 0;
  u8 node = 0;
  u8 found = 0;
  u8 valid = 0;  // holds a pin that it relies on
};

enum class GuardAt : u8 {
  next_op,
  examine_pins,
  act,
  home_copy,
  home_mark,
  home_check,
  home_replace,
  home_unmark,
  home_write,
  home_switch_mark,
  home_push,
  home_current,
  home_switch_unmark,
  collect_mark,
  collect_unlink,
  collect_unmark,
  finished
};

struct Machine {
  u8 seq = 0;
  u8 current = home;
  u8 head = 0;
  u8 epoch = 1;
  std::array<u8, frame_count> older{};
  std::array<u8, frame_count> bound{};
  std::array<u8, frame_count> pins{};
  std::array<u8, frame_count> content{};
  std::array<u8, frame_count> free{};  // 1: free, 2: waits for its pins
  std::array<Sender, sender_count> senders{};

  GuardAt guard = GuardAt::next_op;
  u8 op = 0;
  u8 needed = 0;
  u8 spare = 0;
  u8 old = 0;
  u8 phase = 0;
  u8 event = 0;
  std::array<u8, 6> actions{};
  u8 action_count = 0;
  u8 action = 0;
  u8 previous = 0;  // collecting: the node before, 0: the head
};
static_assert(std::has_unique_object_representations_v<Machine>);

enum class Op : u8 { freeze_first, freeze_second, write, come_home, collect };
constexpr std::array script{Op::freeze_first, Op::write,   Op::freeze_second, Op::write,
                            Op::come_home,    Op::collect, Op::write};

class Explorer {
 public:
  explicit Explorer(ModelError error) : error_(error) {}

  ModelResult run() {
    Machine start;
    start.content[home] = 1;
    for (u8 frame = 2; frame < frame_count; ++frame)
      start.free[frame] = 1;
    visit(start);
    while (!open_.empty() && result_.violation.empty()) {
      const Machine machine = open_.back();
      open_.pop_back();
      bool all_finished = machine.guard == GuardAt::finished;
      if (machine.guard != GuardAt::finished) {
        Machine next = machine;
        step_guard(next);
        visit(next);
      }
      for (u8 i = 0; i < sender_count; ++i) {
        const SenderAt at = machine.senders[i].at;
        if (at == SenderAt::absent || at == SenderAt::finished) continue;
        all_finished = false;
        Machine next = machine;
        step_sender(next, next.senders[i]);
        visit(next);
      }
      if (all_finished) {
        ++result_.finished_states;
        check_end(machine);
      }
    }
    result_.states = seen_.size();
    return result_;
  }

 private:
  void visit(const Machine& machine) {
    const std::string key(reinterpret_cast<const char*>(&machine), sizeof machine);
    if (seen_.insert(key).second) open_.push_back(machine);
  }
  void violation(std::string_view text, const Machine& m) {
    if (!result_.violation.empty()) return;
    result_.violation = std::string(text) + " (operation " + std::to_string(m.op) +
                        ", guard step " + std::to_string(static_cast<int>(m.guard)) + ")";
  }

  // --- Frames.
  void write_frame(Machine& m, u8 frame, u8 content) {
    for (const Sender& sender : m.senders) {
      if (sender.valid != 0 && sender.found == frame)
        violation("a frame under a descriptor is written", m);
    }
    m.content[frame] = content;
  }
  static u8 take_spare(Machine& m) {
    for (u8 frame = frame_count; frame-- > 1;) {
      if (m.free[frame] == 2 && m.pins[frame] == 0) m.free[frame] = 1;
    }
    for (u8 frame = frame_count; frame-- > 1;) {
      if (m.free[frame] == 1) {
        m.free[frame] = 0;
        return frame;
      }
    }
    return 0;
  }
  void retire(Machine& m, u8 frame) const {
    const bool reusable = m.pins[frame] == 0 || error_ == ModelError::frame_reused_while_pinned;
    m.free[frame] = reusable ? u8{1} : u8{2};
  }
  void mark(Machine& m) const {
    if (error_ != ModelError::mark_omitted) ++m.seq;
  }
  static void push(Machine& m, u8 frame) {
    m.older[frame] = m.head;
    m.bound[frame] = m.epoch;
    m.head = frame;
  }
  static bool needed(const Machine& m, u8 lo, u8 hi) {
    for (const Sender& sender : m.senders) {
      if (sender.covers != 0 && sender.epoch >= lo && sender.epoch < hi) return true;
    }
    return false;
  }
  static bool current_needed(const Machine& m) {
    return needed(m, m.head == 0 ? u8{0} : m.bound[m.head], 255);
  }

  // --- A sender: pin.cpp, one access to a shared word at a time.
  void step_sender(Machine& m, Sender& s) {
    switch (s.at) {
      case SenderAt::read_seq:
        s.seq = m.seq;
        s.found = 0;
        if (m.seq % 2 == 0) s.at = SenderAt::read_head;
        break;
      case SenderAt::read_head:
        s.node = m.head;
        s.at = SenderAt::walk;
        break;
      case SenderAt::walk:
        if (s.node != 0 && m.bound[s.node] > s.epoch) {
          s.found = s.node;
          s.node = m.older[s.node];
          if (s.node == s.found) s.at = SenderAt::read_seq;  // led astray
        } else {
          s.node = 0;
          s.at = s.found == 0 ? SenderAt::read_current : after_look_up();
        }
        break;
      case SenderAt::read_current:
        s.found = m.current;
        s.at = after_look_up();
        break;
      case SenderAt::pin:
        ++m.pins[s.found];
        if (error_ == ModelError::none || error_ == ModelError::frame_reused_while_pinned ||
            error_ == ModelError::mark_omitted) {
          s.at = SenderAt::validate;
        } else {
          pinned(m, s);
        }
        break;
      case SenderAt::validate:
        if (error_ == ModelError::pin_after_check) {
          s.at = m.seq == s.seq ? SenderAt::pin : SenderAt::read_seq;
        } else if (m.seq == s.seq) {
          pinned(m, s);
        } else {
          --m.pins[s.found];
          s.at = SenderAt::read_seq;
        }
        break;
      case SenderAt::read:
        check_content(m, s);
        s.at = s.rounds + 1 == rounds_per_sender ? SenderAt::acknowledge : SenderAt::unpin;
        break;
      case SenderAt::acknowledge:  // overtakes the descriptor
        s.covers = 0;
        s.at = SenderAt::unpin;
        break;
      case SenderAt::unpin:
        check_content(m, s);
        --m.pins[s.found];
        s.valid = 0;
        s.seq = 0;
        s.found = 0;
        s.at = ++s.rounds == rounds_per_sender ? SenderAt::finished : SenderAt::read_seq;
        break;
      case SenderAt::absent:
      case SenderAt::finished:
        break;
    }
  }
  [[nodiscard]] SenderAt after_look_up() const {
    return error_ == ModelError::pin_after_check ? SenderAt::validate : SenderAt::pin;
  }
  void pinned(const Machine& m, Sender& s) {
    s.valid = 1;
    s.at = SenderAt::read;
    check_content(m, s);
  }
  void check_content(const Machine& m, const Sender& s) {
    if (m.content[s.found] != s.expected) violation("a sender reads what is not its snapshot's", m);
  }

  // --- The writer and the guard: page_changer.cpp, one access at a time.
  void step_guard(Machine& m) {
    switch (m.guard) {
      case GuardAt::next_op:
        begin_op(m);
        break;
      case GuardAt::examine_pins:
        decide(m, examined(m.needed != 0, m.pins[m.current] != 0));
        break;
      case GuardAt::act:
        act(m, static_cast<PreserveAction>(m.actions[m.action]));
        break;
      default:
        step_home_or_collect(m);
        break;
    }
  }
  void begin_op(Machine& m) {
    switch (script[m.op]) {
      case Op::freeze_first:
      case Op::freeze_second: {
        Sender& sender = m.senders[script[m.op] == Op::freeze_first ? 0 : 1];
        sender.at = SenderAt::read_seq;
        sender.epoch = m.epoch++;
        sender.expected = m.content[m.current];
        sender.covers = 1;
        end_op(m);
        break;
      }
      case Op::write:
        m.needed = current_needed(m) ? 1 : 0;
        m.phase = static_cast<u8>(PreservePhase::examine);
        m.guard = GuardAt::examine_pins;
        break;
      case Op::come_home:
        if (m.current == home || m.pins[home] != 0) return end_op(m);
        m.guard = in_history(m, home) ? GuardAt::home_copy : GuardAt::home_write;
        break;
      case Op::collect:
        m.previous = 0;
        seek_collectable(m);
        break;
    }
  }
  void end_op(Machine& m) {
    m.needed = m.spare = m.old = m.phase = m.event = m.action_count = m.action = m.previous = 0;
    m.actions = {};
    m.guard = ++m.op == script.size() ? GuardAt::finished : GuardAt::next_op;
  }
  void decide(Machine& m, PreserveEvent event) {
    const PreserveStep next = step({static_cast<PreservePhase>(m.phase), m.needed != 0}, event);
    m.phase = static_cast<u8>(next.state.phase);
    m.action = m.action_count = 0;
    m.actions = {};
    for (const PreserveAction action : next.actions)
      m.actions[m.action_count++] = static_cast<u8>(action);
    m.guard = GuardAt::act;
  }
  void act(Machine& m, PreserveAction action) {
    PreserveEvent event = static_cast<PreserveEvent>(m.event);
    switch (action) {
      case PreserveAction::take_spare:
        m.spare = take_spare(m);
        event = m.spare == 0 ? PreserveEvent::spare_refused : PreserveEvent::spare_taken;
        break;
      case PreserveAction::copy_to_spare:
        m.old = m.current;
        write_frame(m, m.spare, m.content[m.current]);
        break;
      case PreserveAction::mark:
      case PreserveAction::unmark:
        mark(m);
        break;
      case PreserveAction::read_pins:
        event = m.pins[m.current] != 0 ? PreserveEvent::marked_pinned : PreserveEvent::marked_idle;
        break;
      case PreserveAction::spare_into_history:
        push(m, m.spare);
        break;
      case PreserveAction::current_into_history:
        push(m, m.old);
        break;
      case PreserveAction::spare_becomes_current:
        m.current = m.spare;
        break;
      case PreserveAction::old_frame_waits:
        if (m.old != home) retire(m, m.old);
        break;
      case PreserveAction::free_spare:
        retire(m, m.spare);
        break;
      case PreserveAction::move_writer:
        event = PreserveEvent::writer_moved;
        break;
      case PreserveAction::lift:
        break;
      case PreserveAction::defer:
        return end_op(m);
    }
    m.event = static_cast<u8>(event);
    if (++m.action < m.action_count) return;
    if (static_cast<PreservePhase>(m.phase) != PreservePhase::done) return decide(m, event);
    // The writer's store, in the same step: nobody can tell it from a later one.
    write_frame(m, m.current, static_cast<u8>(m.op + 10));
    end_op(m);
  }

  static bool in_history(const Machine& m, u8 frame) {
    for (u8 node = m.head; node != 0; node = m.older[node]) {
      if (node == frame) return true;
    }
    return false;
  }
  static u8& link_to(Machine& m, u8 frame) {
    u8* link = &m.head;
    while (*link != frame)
      link = &m.older[*link];
    return *link;
  }
  static void seek_collectable_from(Machine& m) {
    u8 node = m.previous == 0 ? m.head : m.older[m.previous];
    while (node != 0) {
      const u8 older = m.older[node];
      if (!needed(m, older == 0 ? u8{0} : m.bound[older], m.bound[node])) break;
      m.previous = node;
      node = older;
    }
    m.old = node;
  }
  void seek_collectable(Machine& m) {
    seek_collectable_from(m);
    if (m.old == 0) return end_op(m);
    m.guard = GuardAt::collect_mark;
  }
  void step_home_or_collect(Machine& m) {
    switch (m.guard) {
      case GuardAt::home_copy:
        m.spare = take_spare(m);
        if (m.spare == 0) return end_op(m);
        write_frame(m, m.spare, m.content[home]);
        m.guard = GuardAt::home_mark;
        break;
      case GuardAt::home_mark:
        mark(m);
        m.guard = GuardAt::home_check;
        break;
      case GuardAt::home_check:
        if (m.pins[home] != 0) {
          mark(m);
          retire(m, m.spare);
          return end_op(m);
        }
        m.guard = GuardAt::home_replace;
        break;
      case GuardAt::home_replace:
        m.older[m.spare] = m.older[home];
        m.bound[m.spare] = m.bound[home];
        link_to(m, home) = m.spare;
        m.guard = GuardAt::home_unmark;
        break;
      case GuardAt::home_unmark:
        mark(m);
        m.guard = GuardAt::home_write;
        break;
      case GuardAt::home_write:
        write_frame(m, home, m.content[m.current]);
        m.old = m.current;
        m.guard = GuardAt::home_switch_mark;
        break;
      case GuardAt::home_switch_mark:
        m.needed = current_needed(m) ? 1 : 0;
        mark(m);
        m.guard = m.needed != 0 ? GuardAt::home_push : GuardAt::home_current;
        break;
      case GuardAt::home_push:
        push(m, m.old);
        m.guard = GuardAt::home_current;
        break;
      case GuardAt::home_current:
        m.current = home;
        m.guard = GuardAt::home_switch_unmark;
        break;
      case GuardAt::home_switch_unmark:
        mark(m);
        if (m.needed == 0) retire(m, m.old);
        end_op(m);
        break;
      case GuardAt::collect_mark:
        mark(m);
        m.guard = GuardAt::collect_unlink;
        break;
      case GuardAt::collect_unlink:
        link_to(m, m.old) = m.older[m.old];
        m.guard = GuardAt::collect_unmark;
        break;
      case GuardAt::collect_unmark:
        mark(m);
        if (m.old != home) retire(m, m.old);
        seek_collectable(m);
        break;
      default:
        break;
    }
  }

  void check_end(const Machine& m) {
    for (u8 frame = 1; frame < frame_count; ++frame) {
      if (m.pins[frame] != 0) violation("a pin is left", m);
      const bool used = frame == m.current || frame == home || in_history(m, frame);
      if ((m.free[frame] == 0) != used) violation("a frame leaked or is free while in use", m);
    }
  }

  const ModelError error_;
  ModelResult result_;
  std::unordered_set<std::string> seen_;
  std::vector<Machine> open_;
};

}  // namespace

ModelResult explore_pin_model(ModelError error) {
  return Explorer(error).run();
}

}  // namespace strictsend::pagecache
