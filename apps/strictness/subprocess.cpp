// SPDX-License-Identifier: Apache-2.0
#include "apps/strictness/subprocess.hpp"

#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <spawn.h>
#include <unistd.h>

#include "apps/strictness/interruption.hpp"

namespace strictsend::strictness {

Result<Subprocess> Subprocess::start(const std::vector<std::string>& argv) {
  std::vector<char*> arguments;
  arguments.reserve(argv.size() + 1);
  for (const std::string& argument : argv)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);

  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  // A Ctrl-C may come before the child has its group, and would end it when its mask is set.
  sigset_t from_the_terminal;
  ::sigemptyset(&from_the_terminal);
  ::sigaddset(&from_the_terminal, SIGINT);
  ::sigaddset(&from_the_terminal, SIGHUP);
  ::posix_spawnattr_setsigmask(&attributes, &from_the_terminal);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
  pid_t pid = -1;
  const int error =
      ::posix_spawnp(&pid, arguments[0], nullptr, &attributes, arguments.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) {
    return fail("starting " + argv[0], error,
                error == ENOENT ? "install it: apt-get install iproute2 curl" : "");
  }
  std::string command;
  for (const std::string& argument : argv)
    command += (command.empty() ? "" : " ") + argument;
  return Subprocess(pid, std::move(command));
}

Subprocess::~Subprocess() {
  if (pid_ < 0) return;
  terminate();
  ::waitpid(pid_, nullptr, 0);
}

Result<void> Subprocess::wait() {
  const Result<int> status = wait_for_status();
  if (!status) return tl::unexpected(status.error());
  if (*status == 0) return {};
  return fail(name_, 0, "it ended with status " + std::to_string(*status));
}

Result<int> Subprocess::wait_for_status() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0) {
    if (errno != EINTR) return fail("waiting for " + name_, errno);
  }
  pid_ = -1;
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  return fail(name_, 0, "it was ended by signal " + std::to_string(WTERMSIG(status)));
}

bool Subprocess::ended() const {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == pid_;
}

void Subprocess::terminate() const {
  if (pid_ > 0) ::kill(pid_, SIGTERM);
}

Result<void> wait_until_ended(std::span<const Subprocess> processes,
                              const app::StopSignals& signals) {
  const auto running = [](const Subprocess& process) { return !process.ended(); };
  while (std::any_of(processes.begin(), processes.end(), running)) {
    if (Result<void> go_on = unless_stopped(signals, 50); !go_on) return go_on;
  }
  return {};
}

Result<void> run(const std::vector<std::string>& argv) {
  Result<Subprocess> process = Subprocess::start(argv);
  if (!process) return tl::unexpected(std::move(process.error()));
  return process->wait();
}

}  // namespace strictsend::strictness
