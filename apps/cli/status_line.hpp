// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mutex>
#include <string>
#include <string_view>

namespace strictsend::cli {

/// The last line of a terminal, rewritten in place, with log lines scrolling above it. Prints
/// nothing of itself where standard error is no terminal.
///
/// Any thread; lines never mix. Writing waits for a terminal that takes nothing.
class StatusLine {
 public:
  StatusLine();
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;
  ~StatusLine();  ///< removes the line

  [[nodiscard]] bool is_terminal() const { return is_terminal_; }
  /// Shows `text`, cut to the terminal's width.
  void show(std::string_view text);
  /// Prints `text`, which ends its last line itself, above the line.
  void print_above(std::string_view text);

 private:
  void write(std::string_view text) const;

  const bool is_terminal_;
  std::mutex mutex_;
  std::string line_;  // by mutex_; empty: none is shown
};

/// Sends everything that is logged through spdlog's default logger above `line`, from `level` on
/// ("trace" … "critical", "off"; checked by the caller). `line` must outlive all logging.
void log_above(StatusLine& line, const std::string& level);

}  // namespace strictsend::cli
