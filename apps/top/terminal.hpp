// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <termios.h>
#include <vector>

#include "apps/support/unique_fd.hpp"
#include "apps/top/view.hpp"
#include <strictsend/result.hpp>

namespace strictsend::top {

/// SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP and SIGWINCH as a descriptor: whatever ends or stops
/// the program, the terminal is put back first. They are blocked from here on.
class TerminalSignals {
 public:
  static Result<TerminalSignals> create();
  /// Takes one off; its number, 0 when there is none.
  [[nodiscard]] int take() const noexcept;
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  explicit TerminalSignals(app::UniqueFd fd) : fd_(std::move(fd)) {}
  app::UniqueFd fd_;
};

/// Standard output as a screen that is drawn again and again, with the cursor hidden and keys not
/// echoed; as it was before once this object is gone. What was on the terminal comes back.
///
/// The control sequences are those that every terminal since the VT100 understands, and xterm's for
/// the alternate screen, which others ignore.
class Screen {
 public:
  /// Where standard output is no terminal there is none.
  static std::optional<Screen> open();
  Screen(Screen&& other) noexcept;
  Screen& operator=(Screen&&) = delete;
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;
  ~Screen() { leave(); }

  void enter();
  void leave();  ///< the terminal as it was; until `enter`

  /// As it is now, which a SIGWINCH may change.
  [[nodiscard]] Size size() const;
  /// Gives up if the terminal takes nothing (it was stopped by Ctrl-S) and `wake_fd` becomes
  /// readable. False: the terminal is gone.
  bool draw(const std::vector<std::string>& lines, int wake_fd);

 private:
  Screen(app::UniqueFd out, std::optional<termios> keys) : out_(std::move(out)), keys_(keys) {}
  bool write(std::string_view text, int wake_fd, int limit_ms) const;

  app::UniqueFd out_;            // standard output, but not blocking
  std::optional<termios> keys_;  // how standard input was, if that is a terminal
  bool entered_ = false;
};

}  // namespace strictsend::top
