// SPDX-License-Identifier: Apache-2.0
//
// The engine as one more descriptor of an epoll loop that a program has anyway:
//
//     event_loop NIC PORT FILE
//
// The loop here has a timer, which reports once a second, signals, and the engine. Whoever connects
// gets the file.
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <fcntl.h>

#include "program.hpp"

namespace {

using cookbook::give_up;
using cookbook::say;
using strictsend::Engine;
using strictsend::Event;

enum Source : std::uint32_t { engine_source, timer_source, signal_source };

bool watch(int epoll, int fd, Source source) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u32 = source;
  return ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

// cookbook: take
/// Takes what waits, at most so many events a turn, so that the loop's other work comes to its
/// turn too. True: there may be more, and the descriptor will not say so again.
bool take_events(Engine& engine, strictsend::File& file, unsigned& released) {
  std::array<Event, 32> events;
  const std::size_t count = engine.poll(events);
  for (std::size_t i = 0; i < count; ++i) {
    if (events[i].kind == Event::Kind::accepted)
      cookbook::send_file_or_abort(engine, events[i].connection, file);
    if (events[i].kind == Event::Kind::released && events[i].result.error == 0) ++released;
  }
  return count != 0;
}
// cookbook: end

}  // namespace

int main(int argc, char** argv) {
  const auto port = argc == 4 ? cookbook::parse_port(argv[2]) : std::nullopt;
  if (!port) {
    std::fprintf(stderr, "usage: event_loop NIC PORT FILE     (NIC: af_xdp:eth0)\n");
    return 2;
  }
  const cookbook::StopSignals signals;
  strictsend::EngineConfig config;
  config.nic = argv[1];
  config.cache_bytes = std::uint64_t{64} << 20;
  auto opened = Engine::open(config);
  if (!opened) return give_up(opened.error());
  Engine& engine = **opened;
  auto file = engine.open_file(argv[3], O_RDONLY);
  if (!file) return give_up(file.error());
  if (auto listening = engine.listen(*port); !listening) return give_up(listening.error());

  // cookbook: loop
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  const int timer = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  const itimerspec every_second{{1, 0}, {1, 0}};
  ::timerfd_settime(timer, 0, &every_second, nullptr);
  if (!watch(epoll, engine.event_fd(), engine_source) || !watch(epoll, timer, timer_source) ||
      !watch(epoll, signals.fd(), signal_source))
    return give_up({"watching descriptors", errno, ""});
  say("listening");

  unsigned released = 0;
  bool more = true;  // events may wait already: ask before sleeping
  for (bool stopping = false; !stopping;) {
    std::array<epoll_event, 8> ready;
    const int count = ::epoll_wait(epoll, ready.data(), ready.size(), more ? 0 : -1);
    for (int i = 0; i < count; ++i) {
      switch (ready[static_cast<std::size_t>(i)].data.u32) {
        case engine_source:
          more = true;
          break;
        case signal_source:
          stopping = true;
          break;
        case timer_source:
          if (std::uint64_t ticks = 0; ::read(timer, &ticks, sizeof ticks) == sizeof ticks)
            say("released so far: %u", released);
          break;
      }
    }
    if (more) more = take_events(engine, *file, released);
  }
  // cookbook: end
  // cookbook: stop
  const strictsend::EngineStats closing = engine.stop(1000);  // sends get a second to end
  while (take_events(engine, *file, released)) {              // their last events
  }
  say("stopped: released %u, %llu snapshots left", released,
      static_cast<unsigned long long>(closing.snapshots_live));
  // cookbook: end
  return 0;
}
