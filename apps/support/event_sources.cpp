// SPDX-License-Identifier: Apache-2.0
#include "apps/support/event_sources.hpp"

#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <initializer_list>
#include <pthread.h>
#include <unistd.h>

namespace strictsend::app {
namespace {

/// Eventfd and timerfd are cleared by reading their count; it says nothing of use here.
void read_count(int fd) noexcept {
  std::uint64_t count = 0;
  while (::read(fd, &count, sizeof(count)) < 0 && errno == EINTR) {
  }
}

Result<UniqueFd> blocked_signals(std::initializer_list<int> numbers) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : numbers)
    sigaddset(&signals, number);
  if (const int error = ::pthread_sigmask(SIG_BLOCK, &signals, nullptr); error != 0)
    return fail("block signals", error);
  UniqueFd fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd.valid()) return fail("make a signalfd", errno);
  return fd;
}

/// Its number, or 0.
int next_signal(int fd) {
  signalfd_siginfo info{};
  const ssize_t n = ::read(fd, &info, sizeof(info));
  return n == static_cast<ssize_t>(sizeof(info)) ? static_cast<int>(info.ssi_signo) : 0;
}

}  // namespace

Result<WakeUp> WakeUp::create() {
  UniqueFd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd.valid()) return fail("make an eventfd", errno);
  return WakeUp(std::move(fd));
}

void WakeUp::signal() const noexcept {
  const std::uint64_t one = 1;
  // It can fail only where the count is full, and then it is readable anyway.
  while (::write(fd_.get(), &one, sizeof(one)) < 0 && errno == EINTR) {
  }
}

void WakeUp::clear() const noexcept {
  read_count(fd_.get());
}

Result<Ticker> Ticker::create(std::chrono::milliseconds period) {
  UniqueFd fd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!fd.valid()) return fail("make a timerfd", errno);
  itimerspec times{};
  times.it_interval.tv_sec = period.count() / 1000;
  times.it_interval.tv_nsec = (period.count() % 1000) * 1'000'000;
  times.it_value = times.it_interval;
  if (::timerfd_settime(fd.get(), 0, &times, nullptr) != 0) return fail("set a timerfd", errno);
  return Ticker(std::move(fd));
}

void Ticker::clear() const noexcept {
  read_count(fd_.get());
}

Result<StopSignals> StopSignals::create() {
  Result<UniqueFd> fd = blocked_signals({SIGINT, SIGTERM, SIGHUP});
  if (!fd) return tl::unexpected(std::move(fd.error()));
  return StopSignals(std::move(*fd));
}

int StopSignals::take() const noexcept {
  return next_signal(fd_.get());
}

Result<ReopenSignal> ReopenSignal::create() {
  Result<UniqueFd> fd = blocked_signals({SIGUSR1});
  if (!fd) return tl::unexpected(std::move(fd.error()));
  return ReopenSignal(std::move(*fd));
}

bool ReopenSignal::take() const noexcept {
  bool any = false;
  while (next_signal(fd_.get()) != 0)
    any = true;
  return any;
}

}  // namespace strictsend::app
