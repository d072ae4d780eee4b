// SPDX-License-Identifier: Apache-2.0
#include "tests/support/process.hpp"

#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>
#include <utility>

namespace strictsend::test {
namespace {

int exit_code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// The child's side of the fork: only async-signal-safe calls, since the parent may have threads.
[[noreturn]] void become(char* const argv[], int output_fd, int netns_fd) {
  if (netns_fd >= 0 && ::setns(netns_fd, CLONE_NEWNET) != 0) ::_exit(127);
  ::dup2(output_fd, STDOUT_FILENO);
  ::dup2(output_fd, STDERR_FILENO);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  ::execvp(argv[0], argv);
  ::_exit(127);
}

}  // namespace

Result<ChildProcess> ChildProcess::spawn(const std::vector<std::string>& argv, int netns_fd) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail("pipe for " + argv.at(0), errno);
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  std::vector<std::string> copies = argv;
  std::vector<char*> pointers;
  pointers.reserve(copies.size() + 1);
  for (std::string& argument : copies)
    pointers.push_back(argument.data());
  pointers.push_back(nullptr);

  const pid_t pid = ::fork();
  if (pid < 0) return fail("fork for " + argv.at(0), errno);
  if (pid == 0) become(pointers.data(), writer.get(), netns_fd);
  return ChildProcess(pid, std::move(reader));
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pipe_(std::move(other.pipe_)),
      output_(std::move(other.output_)),
      exit_code_(other.exit_code_) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this != &other) {
    end();
    pid_ = std::exchange(other.pid_, -1);
    pipe_ = std::move(other.pipe_);
    output_ = std::move(other.output_);
    exit_code_ = other.exit_code_;
  }
  return *this;
}

ChildProcess::~ChildProcess() {
  end();
}

void ChildProcess::end() noexcept {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

void ChildProcess::signal(int signal_number) {
  if (pid_ > 0) ::kill(pid_, signal_number);
}

bool ChildProcess::read_more(Time deadline) {
  while (pipe_.valid()) {
    const Duration left = deadline - monotonic_now();
    if (left.ns <= 0) return false;
    pollfd entry{pipe_.get(), POLLIN, 0};
    const int ready = ::poll(&entry, 1, static_cast<int>(left.ns / 1'000'000 + 1));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) return false;
    std::array<char, 65536> buffer;
    const ssize_t got = ::read(pipe_.get(), buffer.data(), buffer.size());
    if (got <= 0) {
      pipe_.reset();
      return false;
    }
    output_.append(buffer.data(), static_cast<std::size_t>(got));
    return true;
  }
  return false;
}

std::optional<CommandResult> ChildProcess::wait(Duration limit) {
  const Time deadline = monotonic_now() + limit;
  while (read_more(deadline)) {
  }
  while (pid_ > 0) {
    int status = 0;
    const pid_t got = ::waitpid(pid_, &status, WNOHANG);
    if (got == pid_) {
      exit_code_ = exit_code_of(status);
      pid_ = -1;
      // The limit may have ended the reading above just before the last of its output came.
      while (read_more(monotonic_now() + milliseconds(1))) {
      }
    } else if (got < 0 && errno != EINTR) {
      pid_ = -1;
    } else if ((deadline - monotonic_now()).ns < 0) {
      return std::nullopt;
    } else {
      ::poll(nullptr, 0, 1);
    }
  }
  return CommandResult{exit_code_, output_};
}

bool ChildProcess::wait_for_output(const std::string& text, Duration limit) {
  const Time deadline = monotonic_now() + limit;
  while (output_.find(text) == std::string::npos)
    if (!read_more(deadline)) return output_.find(text) != std::string::npos;
  return true;
}

CommandResult run_command(const std::vector<std::string>& argv, int netns_fd, Duration limit) {
  Result<ChildProcess> child = ChildProcess::spawn(argv, netns_fd);
  if (!child) return CommandResult{127, child.error().message()};
  if (std::optional<CommandResult> result = child->wait(limit)) return *result;
  child->signal(SIGKILL);
  if (std::optional<CommandResult> result = child->wait()) return *result;
  return CommandResult{128 + SIGKILL, child->output()};
}

}  // namespace strictsend::test
