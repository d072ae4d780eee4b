// SPDX-License-Identifier: Apache-2.0
#include "apps/top/terminal.hpp"

#include <sys/ioctl.h>
#include <sys/signalfd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>
#include <utility>

namespace strictsend::top {
namespace {

constexpr std::string_view begin_screen = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J";
constexpr std::string_view end_screen = "\x1b[?25h\x1b[?1049l";
/// A terminal that takes nothing for so long does not get its screen back.
constexpr int leave_limit_ms = 500;

}  // namespace

Result<TerminalSignals> TerminalSignals::create() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH})
    sigaddset(&signals, number);
  if (const int error = ::pthread_sigmask(SIG_BLOCK, &signals, nullptr); error != 0)
    return fail("block signals", error);
  app::UniqueFd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return fail("make a signalfd", errno);
  return TerminalSignals(std::move(fd));
}

int TerminalSignals::take() const noexcept {
  signalfd_siginfo info{};
  const ssize_t n = ::read(fd_.get(), &info, sizeof(info));
  return n == static_cast<ssize_t>(sizeof(info)) ? static_cast<int>(info.ssi_signo) : 0;
}

std::optional<Screen> Screen::open() {
  if (::isatty(STDOUT_FILENO) != 1) return std::nullopt;
  // Opened anew, because O_NONBLOCK on the one that is there would be the shell's too.
  app::UniqueFd out(::open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!out.valid()) out = app::UniqueFd(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0));
  if (!out.valid()) return std::nullopt;
  std::optional<termios> keys(std::in_place);
  if (::tcgetattr(STDIN_FILENO, &*keys) != 0) keys.reset();
  return Screen(std::move(out), keys);
}

Screen::Screen(Screen&& other) noexcept
    : out_(std::move(other.out_)),
      keys_(other.keys_),
      entered_(std::exchange(other.entered_, false)) {}

void Screen::enter() {
  if (entered_) return;
  entered_ = true;
  if (keys_) {
    termios quiet = *keys_;
    // Keys come one by one and are not shown; Ctrl-C and Ctrl-Z go on being signals.
    quiet.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    ::tcsetattr(STDIN_FILENO, TCSADRAIN, &quiet);
  }
  write(begin_screen, -1, leave_limit_ms);
}

void Screen::leave() {
  if (!entered_) return;
  entered_ = false;
  // After Ctrl-S it would not take what follows, and TCOON alone undoes only a TCOOFF.
  ::tcflow(out_.get(), TCOOFF);
  ::tcflow(out_.get(), TCOON);
  write(end_screen, -1, leave_limit_ms);
  // Not TCSADRAIN: what a stopped terminal does not take must not keep us.
  if (keys_) ::tcsetattr(STDIN_FILENO, TCSANOW, &*keys_);
}

Size Screen::size() const {
  winsize size{};
  if (::ioctl(out_.get(), TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
    return {79, 24};
  // Where the last column is used, terminals differ in what the next character does.
  return {size.ws_col - 1U, size.ws_row};
}

bool Screen::draw(const std::vector<std::string>& lines, int wake_fd) {
  std::string text = "\x1b[H";
  for (std::size_t i = 0; i < lines.size(); ++i) {
    text += lines[i];
    text += i + 1 < lines.size() ? "\x1b[K\r\n" : "\x1b[K";
  }
  text += "\x1b[J";
  return write(text, wake_fd, -1);
}

bool Screen::write(std::string_view text, int wake_fd, int limit_ms) const {
  while (!text.empty()) {
    const ssize_t written = ::write(out_.get(), text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return false;
    std::array<pollfd, 2> sources{{{out_.get(), POLLOUT, 0}, {wake_fd, POLLIN, 0}}};
    if (::poll(sources.data(), sources.size(), limit_ms) == 0 || sources[1].revents != 0)
      return true;
  }
  return true;
}

}  // namespace strictsend::top
