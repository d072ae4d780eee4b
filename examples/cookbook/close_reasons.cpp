// SPDX-License-Identifier: Apache-2.0
//
// Why connections ended, and what of their sends arrived:
//
//     close_reasons NIC PORT FILE
//
// Whoever connects is sent the file. A line "abort" has the program end the connection itself,
// "rewrite" has it rewrite the file from end to end, with hardly any room for old bytes.
#include <cstring>
#include <fcntl.h>
#include <map>
#include <vector>

#include "program.hpp"

namespace {

using cookbook::give_up;
using cookbook::say;
using strictsend::Engine;
using strictsend::Event;

// cookbook: reasons
const char* reason_of(int error) {
  switch (error) {
    case 0:
      return "both sides said that they were done";
    case ECONNRESET:
      return "the peer reset it";
    case ETIMEDOUT:
      return "the peer acknowledged nothing, or too little, for idle_timeout_ms";
    case ECONNABORTED:
      return "this program ended it, by abort or stop";
    case ECANCELED:
      return "a splice under way was cancelled";
    case ENOBUFS:
      return "its pages were given up for a writer: choose more spare_frames";
    case ESTALE:
      return "another process changed the file before all of it was read";
    case ENETDOWN:
      return "the device went";
    default:
      return std::strerror(error);
  }
}
// cookbook: end

void rewrite(strictsend::File& file) {
  const std::vector<std::byte> piece(65536, std::byte{'w'});
  std::uint64_t done = 0;
  while (done < file.size_bytes()) {
    auto written = file.write(
        std::span(piece).first(std::min<std::uint64_t>(piece.size(), file.size_bytes() - done)),
        done);
    if (!written) {
      give_up(written.error());
      return;
    }
    done += *written;
  }
  say("rewritten");
}

}  // namespace

int main(int argc, char** argv) {
  const auto port = argc == 4 ? cookbook::parse_port(argv[2]) : std::nullopt;
  if (!port) {
    std::fprintf(stderr, "usage: close_reasons NIC PORT FILE     (NIC: af_xdp:eth0)\n");
    return 2;
  }
  const cookbook::StopSignals signals;
  // cookbook: limits
  strictsend::EngineConfig config;
  config.nic = argv[1];
  config.cache_bytes = std::uint64_t{20} << 20;  // a file of 16 MiB leaves little beside it
  config.spare_frames = 256;         // 1 MiB kept for old bytes; a sixteenth of the cache is usual
  config.writer_wait_limit_ms = 10;  // then the send that holds most is given up
  config.idle_timeout_ms = 5000;     // a minute is usual
  // cookbook: end
  auto opened = Engine::open(config);
  if (!opened) return give_up(opened.error());
  Engine& engine = **opened;
  auto file = engine.open_file(argv[3], O_RDONLY);
  if (!file) return give_up(file.error());
  if (auto listening = engine.listen(*port); !listening) return give_up(listening.error());
  say("listening");

  std::map<std::uint32_t, std::string> pending;
  return cookbook::serve(engine, signals, [&](const Event& event) {
    switch (event.kind) {
      case Event::Kind::accepted:
        cookbook::send_file_or_abort(engine, event.connection, *file);
        break;
      case Event::Kind::readable: {
        const auto line =
            cookbook::take_line(engine, event.connection, pending[event.connection.slot]);
        if (line == "abort") (void)engine.abort(event.connection);
        if (line == "rewrite") rewrite(*file);
        break;
      }
      // cookbook: closed
      case Event::Kind::peer_closed:
        (void)engine.close(event.connection);
        break;
      case Event::Kind::released:
        say("released: %llu of %llu bytes acknowledged, %s",
            static_cast<unsigned long long>(event.result.bytes_acked),
            static_cast<unsigned long long>(event.result.bytes_sent),
            event.result.error == 0 ? "whole" : "cut short");
        break;
      case Event::Kind::closed:  // behind the `released` of all its splices
        say("closed: %s", reason_of(event.result.error));
        pending.erase(event.connection.slot);
        break;
      // cookbook: end
      default:
        break;
    }
  });
}
