// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/signalfd.h>

#include <array>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <poll.h>
#include <string>
#include <string_view>
#include <unistd.h>

#include <strictsend/engine.hpp>

// What every program of the cookbook has around its recipe: arguments, messages, a clean end.

namespace cookbook {

/// The whole of `text` as a number from 0 to `most`.
inline std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t most) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > most) return std::nullopt;
  return value;
}
inline std::optional<std::uint16_t> parse_port(std::string_view text) {
  const auto port = parse_number(text, 65535);
  return port && *port != 0 ? std::optional(static_cast<std::uint16_t>(*port)) : std::nullopt;
}

/// Says what went wrong and what to do about it; the program's exit status.
inline int give_up(const strictsend::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.message().c_str());
  return 1;
}

/// A line for whoever watches, at once.
template <class... Values>
void say(const char* format, Values... values) {
  std::printf(format, values...);
  std::putchar('\n');
  std::fflush(stdout);
}

// cookbook: send
/// Sends the file as it is now, whatever is written to it later, and says that nothing follows.
inline strictsend::Result<void> send_file(strictsend::Engine& engine,
                                          strictsend::ConnectionId connection,
                                          strictsend::File& file) {
  constexpr std::uint64_t to_the_end = std::numeric_limits<std::uint64_t>::max();
  auto snapshot = engine.freeze(file, 0, to_the_end);  // the promise is made here
  if (!snapshot) return tl::unexpected(snapshot.error());
  if (snapshot->length_bytes() > 0) {  // a splice of nothing would be refused
    strictsend::Splice splice;
    splice.connection = connection;
    splice.snapshot = std::move(*snapshot);
    if (auto submitted = engine.submit(std::move(splice)); !submitted)
      return tl::unexpected(submitted.error());
  }
  return engine.close(connection);  // FIN, behind everything that was submitted
}

/// The peer is told of a failure by a reset, so that it does not take less for the whole.
inline void send_file_or_abort(strictsend::Engine& engine, strictsend::ConnectionId connection,
                               strictsend::File& file) {
  if (auto sent = send_file(engine, connection, file); !sent) {
    give_up(sent.error());
    (void)engine.abort(connection);  // it may be gone already
  }
}
// cookbook: end

// cookbook: signals
/// SIGINT and SIGTERM as a descriptor. Made before all threads of the program's own, so that they
/// inherit the mask and none takes the signal; the engine's take none anyway.
class StopSignals {
 public:
  StopSignals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    fd_ = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
  }
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  ~StopSignals() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_ = -1;
};
// cookbook: end

// cookbook: serve
/// Hands every event to `handle` until a signal comes or the device is lost; the exit status.
/// `drop_snapshots` is called before the engine is stopped, which waits for those that are held.
template <class Handle, class Drop>
int serve(strictsend::Engine& engine, const StopSignals& signals, Handle handle,
          Drop drop_snapshots) {
  std::array<pollfd, 2> waiting{pollfd{engine.event_fd(), POLLIN, 0},
                                pollfd{signals.fd(), POLLIN, 0}};
  while (waiting[1].revents == 0) {
    if (::poll(waiting.data(), waiting.size(), -1) < 0) continue;  // EINTR
    std::array<strictsend::Event, 64> events;
    while (const std::size_t count = engine.poll(events)) {  // until it is 0, or the rest waits
      for (std::size_t i = 0; i < count; ++i) {
        if (events[i].kind == strictsend::Event::Kind::device_lost)
          return give_up(engine.device_failure().value_or(strictsend::Error{}));
        handle(events[i]);
      }
    }
  }
  drop_snapshots();
  const strictsend::EngineStats closing = engine.stop(1000);
  say("stopped: %llu snapshots and %llu pins left",
      static_cast<unsigned long long>(closing.snapshots_live),
      static_cast<unsigned long long>(closing.frames_pinned));
  return 0;
}
// cookbook: end
template <class Handle>
int serve(strictsend::Engine& engine, const StopSignals& signals, Handle handle) {
  return serve(engine, signals, handle, [] {});
}

// cookbook: line
/// Takes what the client sent, and returns its first line once that is complete.
inline std::optional<std::string> take_line(strictsend::Engine& engine,
                                            strictsend::ConnectionId connection,
                                            std::string& pending) {
  std::array<std::byte, 4096> bytes;
  while (true) {
    const auto count = engine.receive(connection, bytes);
    if (!count || *count == 0) break;            // gone, or nothing more at the moment
    if (pending.size() + *count > 65536) break;  // nobody's line is that long
    pending.append(reinterpret_cast<const char*>(bytes.data()), *count);
  }
  const std::size_t end = pending.find('\n');
  if (end == std::string::npos) return std::nullopt;
  std::string line = pending.substr(0, end);
  pending.erase(0, end + 1);
  return line;
}
// cookbook: end

}  // namespace cookbook
