// SPDX-License-Identifier: Apache-2.0
//
// Keeps one snapshot and sends it to many, while the file goes on changing:
//
//     keep_snapshot NIC PORT FILE
//
// A client that sends "kept" gets the file as it was when the program started; one that sends
// "now" makes the present state the kept one, and gets that. Each request also writes a new line
// over the file's beginning.
#include <fcntl.h>
#include <limits>
#include <map>

#include "program.hpp"

namespace {

using cookbook::give_up;
using cookbook::say;
using strictsend::Engine;
using strictsend::Event;

constexpr std::uint64_t to_the_end = std::numeric_limits<std::uint64_t>::max();

class Keeper {
 public:
  Keeper(Engine& engine, strictsend::File file) : engine_(engine), file_(std::move(file)) {}

  // cookbook: keep
  strictsend::Result<void> keep_present_state() {
    auto snapshot = engine_.freeze(file_, 0, to_the_end);
    if (!snapshot) return tl::unexpected(snapshot.error());
    kept_ = std::move(*snapshot);  // the one before is given up; sends of it are not
    return {};
  }

  void drop() { kept_ = {}; }  // before the engine stops

  strictsend::Result<void> send_kept(strictsend::ConnectionId connection) {
    // A splice takes its snapshot away, so it gets another one of the same instant.
    auto again = kept_.part(0, to_the_end);
    if (!again) return tl::unexpected(again.error());
    strictsend::Splice splice;
    splice.connection = connection;
    splice.snapshot = std::move(*again);
    if (auto submitted = engine_.submit(std::move(splice)); !submitted)
      return tl::unexpected(submitted.error());
    return engine_.close(connection);
  }
  // cookbook: end

  strictsend::Result<void> write_something() {
    char line[32];
    const int bytes = std::snprintf(line, sizeof line, "written %u\n", ++written_);
    auto done =
        file_.write(std::as_bytes(std::span(line).first(static_cast<std::size_t>(bytes))), 0);
    if (!done) return tl::unexpected(done.error());
    return {};
  }

 private:
  Engine& engine_;
  strictsend::File file_;
  strictsend::Snapshot kept_;
  unsigned written_ = 0;
};

strictsend::Result<void> answer(Keeper& keeper, strictsend::ConnectionId connection,
                                const std::string& request) {
  if (request == "now")
    if (auto kept = keeper.keep_present_state(); !kept) return kept;
  if (auto sent = keeper.send_kept(connection); !sent) return sent;
  return keeper.write_something();
}

}  // namespace

int main(int argc, char** argv) {
  const auto port = argc == 4 ? cookbook::parse_port(argv[2]) : std::nullopt;
  if (!port) {
    std::fprintf(stderr, "usage: keep_snapshot NIC PORT FILE     (NIC: af_xdp:eth0)\n");
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
  Keeper keeper(engine, *file);
  if (auto kept = keeper.keep_present_state(); !kept) return give_up(kept.error());
  if (auto listening = engine.listen(*port); !listening) return give_up(listening.error());
  say("listening");

  std::map<std::uint32_t, std::string> pending;  // by the connection's slot
  return cookbook::serve(
      engine, signals,
      [&](const Event& event) {
        if (event.kind == Event::Kind::readable) {
          const auto line =
              cookbook::take_line(engine, event.connection, pending[event.connection.slot]);
          if (!line) return;
          if (auto sent = answer(keeper, event.connection, *line); !sent) {
            give_up(sent.error());
            (void)engine.abort(event.connection);
          }
        } else if (event.kind == Event::Kind::peer_closed) {
          (void)engine.close(event.connection);
        } else if (event.kind == Event::Kind::closed) {
          pending.erase(event.connection.slot);
        }
      },
      [&] { keeper.drop(); });
}
