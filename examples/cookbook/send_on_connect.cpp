// SPDX-License-Identifier: Apache-2.0
//
// Sends a file, as it is at that moment, to everybody who connects:
//
//     send_on_connect NIC PORT FILE          and elsewhere:   nc ADDRESS PORT
#include <fcntl.h>
#include <limits>

#include "program.hpp"

namespace {

using cookbook::give_up;
using cookbook::say;
using strictsend::Engine;
using strictsend::Event;

constexpr std::uint64_t to_the_end = std::numeric_limits<std::uint64_t>::max();

}  // namespace

int main(int argc, char** argv) {
  const auto port = argc == 4 ? cookbook::parse_port(argv[2]) : std::nullopt;
  if (!port) {
    std::fprintf(stderr, "usage: send_on_connect NIC PORT FILE     (NIC: af_xdp:eth0)\n");
    return 2;
  }
  const cookbook::StopSignals signals;
  // cookbook: open
  strictsend::EngineConfig config;
  config.nic = argv[1];                          // "af_xdp:eth0"
  config.cache_bytes = std::uint64_t{64} << 20;  // taken now, and kept
  auto opened = Engine::open(config);
  if (!opened) return give_up(opened.error());  // what is missing, and how to get it
  Engine& engine = **opened;
  auto file = engine.open_file(argv[3], O_RDONLY);
  if (!file) return give_up(file.error());
  if (auto listening = engine.listen(*port); !listening) return give_up(listening.error());
  // cookbook: end
  say("listening: %s", engine.description().c_str());

  // cookbook: events
  return cookbook::serve(engine, signals, [&](const Event& event) {
    if (event.kind == Event::Kind::accepted) {
      cookbook::send_file_or_abort(engine, event.connection, *file);
    } else if (event.kind == Event::Kind::released) {
      say("released: %llu bytes acknowledged, error %d",
          static_cast<unsigned long long>(event.result.bytes_acked), event.result.error);
    }
  });
  // cookbook: end
}
