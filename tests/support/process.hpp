// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace strictsend::test {

struct CommandResult {
  int exit_code = -1;  ///< 128 + signal where a signal ended it; 127: could not be started
  std::string output;  ///< standard output and standard error, in the order they were written
};

/// A process that a test started: owned by the test, ended by its pid (never by its name) when the
/// owner goes away, so that a failing test leaves nothing running. Used by one thread.
class ChildProcess {
 public:
  /// Starts `argv` (argv[0] is looked up in PATH), in the network namespace that `netns` refers to
  /// when it is valid. Its output goes to a pipe of this object.
  static Result<ChildProcess> spawn(const std::vector<std::string>& argv, int netns_fd = -1);

  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Sends `signal_number`; nothing happens when the process is already reaped.
  void signal(int signal_number);

  /// Reads its output until it ends or `limit` has passed. Empty: it is still running then.
  std::optional<CommandResult> wait(Duration limit = seconds(60));
  /// Reads until its output holds `text`; false: it ended, or `limit` passed, without that.
  bool wait_for_output(const std::string& text, Duration limit = seconds(60));
  [[nodiscard]] const std::string& output() const { return output_; }

 private:
  ChildProcess(pid_t pid, UniqueFd output_pipe) : pid_(pid), pipe_(std::move(output_pipe)) {}
  /// One read of the pipe, waiting until `deadline`; false at end of file or when it passed.
  bool read_more(Time deadline);
  void end() noexcept;

  pid_t pid_ = -1;  ///< -1: reaped
  UniqueFd pipe_;
  std::string output_;
  int exit_code_ = -1;
};

/// Runs `argv` to its end. For short commands: past `limit` it is killed, and reported as exit code
/// 128 + SIGKILL.
CommandResult run_command(const std::vector<std::string>& argv, int netns_fd = -1,
                          Duration limit = seconds(60));

}  // namespace strictsend::test
