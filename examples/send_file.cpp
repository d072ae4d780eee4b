// SPDX-License-Identifier: Apache-2.0
//
// Answers every line that a TCP client sends with a file as it is at that moment, and hangs up:
//
//     send_file af_xdp:eth0 7000 FILE        and elsewhere:   echo please | nc ADDRESS 7000
//
// Whoever writes to the file through the engine meanwhile changes nothing of an answer under way.
// Built outside the tree: g++ -std=c++20 send_file.cpp $(pkg-config --cflags --libs strictsend)
#include <sys/signalfd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <limits>
#include <poll.h>

#include <strictsend/engine.hpp>

namespace {

using strictsend::Engine;
using strictsend::Event;

int give_up(const strictsend::Error& error) {
  std::fprintf(stderr, "send_file: %s\n", error.message().c_str());
  return 1;
}

/// Takes what the client sent; true once a line is complete.
bool line_came(Engine& engine, strictsend::ConnectionId connection) {
  std::array<std::byte, 4096> text;
  bool complete = false;
  while (true) {
    const auto count = engine.receive(connection, text);
    if (!count || *count == 0) return complete;
    const auto end = text.begin() + static_cast<std::ptrdiff_t>(*count);
    complete = complete || std::find(text.begin(), end, std::byte{'\n'}) != end;
  }
}

/// The heart of it: freeze the file now, hand the snapshot over, and say that nothing follows.
strictsend::Result<void> answer(Engine& engine, strictsend::ConnectionId connection,
                                strictsend::File& file) {
  auto snapshot = engine.freeze(file, 0, std::numeric_limits<std::uint64_t>::max());
  if (!snapshot) return tl::unexpected(snapshot.error());
  strictsend::Splice splice;
  splice.connection = connection;
  splice.snapshot = std::move(*snapshot);
  if (const auto submitted = engine.submit(std::move(splice)); !submitted)
    return tl::unexpected(submitted.error());
  return engine.close(connection);  // after everything that was submitted
}

void handle(Engine& engine, const Event& event, strictsend::File& file) {
  if (event.kind == Event::Kind::readable && line_came(engine, event.connection)) {
    if (const auto answered = answer(engine, event.connection, file); !answered) {
      give_up(answered.error());
      (void)engine.abort(event.connection);  // it may be gone already
    }
  } else if (event.kind == Event::Kind::peer_closed) {
    (void)engine.close(event.connection);
  } else if (event.kind == Event::Kind::released) {
    std::printf("sent %llu bytes, copied %llu, error %d\n",
                static_cast<unsigned long long>(event.result.bytes_acked),
                static_cast<unsigned long long>(event.result.bytes_copied), event.result.error);
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: send_file NIC PORT FILE     (NIC: af_xdp:eth0, or discard:)\n");
    return 2;
  }
  // Blocked before the engine starts its threads, so that the signals come to the descriptor alone.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  strictsend::EngineConfig config;
  config.nic = argv[1];
  auto opened = Engine::open(config);
  if (!opened) return give_up(opened.error());
  Engine& engine = **opened;
  auto file = engine.open_file(argv[3], O_RDONLY);
  if (!file) return give_up(file.error());
  const auto port = static_cast<std::uint16_t>(std::strtoul(argv[2], nullptr, 10));
  if (const auto listening = engine.listen(port); !listening) return give_up(listening.error());
  std::printf("listening: %s\n", engine.description().c_str());
  std::fflush(stdout);

  std::array<pollfd, 2> waiting{pollfd{engine.event_fd(), POLLIN, 0},
                                pollfd{signalfd(-1, &signals, SFD_CLOEXEC), POLLIN, 0}};
  while (waiting[1].revents == 0) {
    ::poll(waiting.data(), waiting.size(), -1);
    std::array<Event, 64> events;
    while (const std::size_t count = engine.poll(events)) {
      for (std::size_t i = 0; i < count; ++i)
        handle(engine, events[i], *file);
    }
  }
  engine.stop(1000);
  return 0;
}
