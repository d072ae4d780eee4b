// SPDX-License-Identifier: Apache-2.0
//
// Sends a file that is larger than the cache, and tells when another process spoils it:
//
//     large_file NIC PORT FILE
#include <cinttypes>
#include <fcntl.h>

#include "program.hpp"

namespace {

using cookbook::give_up;
using cookbook::say;
using strictsend::Engine;
using strictsend::Event;

}  // namespace

int main(int argc, char** argv) {
  const auto port = argc == 4 ? cookbook::parse_port(argv[2]) : std::nullopt;
  if (!port) {
    std::fprintf(stderr, "usage: large_file NIC PORT FILE     (NIC: af_xdp:eth0)\n");
    return 2;
  }
  const cookbook::StopSignals signals;
  // cookbook: open
  strictsend::EngineConfig config;
  config.nic = argv[1];
  config.cache_bytes = std::uint64_t{8} << 20;
  auto opened = Engine::open(config);
  if (!opened) return give_up(opened.error());
  Engine& engine = **opened;
  auto file = engine.open_file(argv[3], O_RDWR);
  if (!file) return give_up(file.error());
  if (auto mapping = file->map(); !mapping) {
    if (mapping.error().errno_value != EFBIG) return give_up(mapping.error());
    say("no mapping of it, but File::write: %s", mapping.error().message().c_str());
  }
  // cookbook: end
  if (auto listening = engine.listen(*port); !listening) return give_up(listening.error());
  say("listening");

  const int status = cookbook::serve(engine, signals, [&](const Event& event) {
    if (event.kind == Event::Kind::accepted) {
      cookbook::send_file_or_abort(engine, event.connection, *file);
    }
    // cookbook: stale
    if (event.kind != Event::Kind::released) return;
    if (event.result.error == ESTALE)
      say("spoilt: the file was changed in place; the client has to ask again");
    else
      say("released: %" PRIu64 " bytes, error %d", event.result.bytes_acked, event.result.error);
    // cookbook: end
  });
  const strictsend::EngineStats stats = engine.stats();
  say("%" PRIu64 " pages loaded, %" PRIu64 " of them gone again, %" PRIu64 " sends failed",
      stats.pages_loaded, stats.pages_evicted, stats.sends_failed_for_disk);
  return status;
}
