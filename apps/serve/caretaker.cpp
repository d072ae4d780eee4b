// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/caretaker.hpp"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <poll.h>
#include <string_view>
#include <unistd.h>
#include <utility>

#include "apps/serve/account.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::serve {
namespace {

constexpr int finish_limit_ms = 10'000;
constexpr std::string_view ready = "ready";

void say(int socket, std::string_view text) {
  // It fails where the server is gone; standard error may still be read then.
  if (::send(socket, text.data(), text.size(), MSG_NOSIGNAL) < 0) {
    [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, text.data(), text.size());
  }
}

/// The kernel lets go of a dying process's sockets in any order, so the interface may still be
/// claimed when this one's end is seen.
void wait_for_the_end_of(pid_t server) {
  constexpr int step_ms = 10;
  for (int ms = 0; ms < finish_limit_ms && ::getppid() == server; ms += step_ms)
    ::poll(nullptr, 0, step_ms);
}

[[noreturn]] void take_care(const std::string& nic, int socket, pid_t server) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE})
    std::signal(number, SIG_IGN);
  ::prctl(PR_SET_NAME, "strictsend-care", 0, 0, 0);
  const Result<void> sealed = give_up_new_rights();
  const Result<void> kept = sealed ? keep_rights_over_interfaces() : sealed;
  if (!kept || ::chdir("/") != 0) {
    say(socket, kept ? "the caretaker cannot enter /" : kept.error().message());
    ::_exit(1);
  }
  if (::send(socket, ready.data(), ready.size(), MSG_NOSIGNAL) < 0) ::_exit(1);
  char byte = 0;
  ssize_t count = 0;
  do {
    count = ::recv(socket, &byte, 1, 0);
  } while (count < 0 && errno == EINTR);
  if (count <= 0) wait_for_the_end_of(server);
  if (const Result<bool> cleared = Engine::clear_interface(nic); !cleared) {
    say(socket, cleared.error().message());
    ::_exit(1);
  }
  ::_exit(0);
}

/// What the caretaker has said; empty: it has ended.
Result<std::string> hear(int socket) {
  pollfd wait{socket, POLLIN, 0};
  int answered = 0;
  do {
    answered = ::poll(&wait, 1, finish_limit_ms);
  } while (answered < 0 && errno == EINTR);
  if (answered == 0) return fail("waiting for the caretaker", ETIMEDOUT);
  std::array<char, 4096> text{};
  const ssize_t count = ::recv(socket, text.data(), text.size(), MSG_DONTWAIT);
  if (count < 0 && errno != ECONNRESET) return fail("hearing the caretaker", errno);
  return std::string(text.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
}

}  // namespace

Result<Caretaker> Caretaker::start(const std::string& nic) {
  std::array<int, 2> ends{};
  // Packets, so that what is said ends somewhere.
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return fail("starting the caretaker", errno);
  app::UniqueFd ours(ends[0]);
  app::UniqueFd theirs(ends[1]);
  const pid_t server = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return fail("starting the caretaker", errno);
  if (pid == 0) {
    ours.reset();
    take_care(nic, theirs.get(), server);
  }
  theirs.reset();
  Caretaker caretaker(std::move(ours), pid);
  const Result<std::string> said = hear(caretaker.socket_.get());
  if (!said) return tl::unexpected(said.error());
  if (*said != ready)
    return fail("starting the caretaker", 0, said->empty() ? "it was killed" : *said);
  return caretaker;
}

Caretaker::Caretaker(Caretaker&& other) noexcept
    : socket_(std::move(other.socket_)), pid_(std::exchange(other.pid_, -1)) {}

Caretaker::~Caretaker() {
  finish();
}

Result<void> Caretaker::finish() {
  if (pid_ < 0) return {};
  const char byte = 0;
  ::send(socket_.get(), &byte, 1, MSG_NOSIGNAL);
  const Result<std::string> said = hear(socket_.get());
  const pid_t pid = std::exchange(pid_, -1);
  if (!said) return tl::unexpected(said.error());  // it is left to itself
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!said->empty()) return fail("clearing the interface", 0, *said);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return fail("clearing the interface", 0,
                "the caretaker was killed; the XDP program passes everything to the kernel until "
                "the next start replaces it");
  return {};
}

}  // namespace strictsend::serve
