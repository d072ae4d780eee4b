// SPDX-License-Identifier: Apache-2.0
//
// Rewrites a file through its mapping while it is on its way out:
//
//     write_while_sending NIC PORT FILE
//
// Whoever connects is sent the file, and at once every byte of it is overwritten with the next
// letter. What arrives is of one letter all the same: the one before.
#include <cstring>
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
    std::fprintf(stderr, "usage: write_while_sending NIC PORT FILE     (NIC: af_xdp:eth0)\n");
    return 2;
  }
  const cookbook::StopSignals signals;
  // cookbook: room
  strictsend::EngineConfig config;
  config.nic = argv[1];
  config.cache_bytes = std::uint64_t{64} << 20;
  // Room for old bytes, kept even when the cache is full of files: what writers may change of
  // files that are being sent, before a send has to be given up for them. A frame is 4 KiB, so
  // this is 24 MiB of the 64. Frames that no file takes serve too.
  config.spare_frames = 6144;
  auto opened = Engine::open(config);
  // cookbook: end
  if (!opened) return give_up(opened.error());
  Engine& engine = **opened;
  // cookbook: map
  auto file = engine.open_file(argv[3], O_RDWR);
  if (!file) return give_up(file.error());
  auto mapping = file->map();  // the one writable mapping of this file
  if (!mapping) return give_up(mapping.error());
  // cookbook: end
  if (auto listening = engine.listen(*port); !listening) return give_up(listening.error());
  say("listening");

  char letter = 'A';
  return cookbook::serve(engine, signals, [&](const Event& event) {
    // cookbook: write
    if (event.kind == Event::Kind::accepted) {
      cookbook::send_file_or_abort(engine, event.connection, *file);
      // A store to a page that the send still needs waits for one copy of 4 KiB, never for the
      // network: the peer may not have read a byte when this is over.
      std::memset(mapping->data(), ++letter, mapping->size());
      say("all is %c now", letter);
    } else if (event.kind == Event::Kind::released) {
      say("released: %llu bytes, %llu pages preserved, error %d",
          static_cast<unsigned long long>(event.result.bytes_acked),
          static_cast<unsigned long long>(event.result.pages_preserved), event.result.error);
    }
    // cookbook: end
  });
}
